/**
 * Static files over real sockets: what is answered, to which conditions, in which encoding, which
 * bytes; and while files change. What must not be answered is in `static_folder.test.ts`.
 */

import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { turn, until } from "../../adapters/conformance/trial.ts";
import { type Fields, type FileSite, type Got, MODIFIED, withSite } from "../support/file_site.ts";
import { holds } from "../support/property.ts";

/** More than is read at once. */
const LARGE = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7 % 251);

const DAY_BEFORE = "Mon, 01 Jan 2024 03:04:05 GMT";
const DAY_AFTER = "Wed, 03 Jan 2024 03:04:05 GMT";

test("a file is answered with its bytes and all that is known of them", async () => {
  await withSite({ "shown/a.txt": "Grüße\n", "shown/large.bin": LARGE }, async (site) => {
    const small = await site.get("/a.txt");
    assert.equal(small.status, 200);
    assert.equal(small.text, "Grüße\n");
    assert.equal(small.field("content-length"), "8");
    assert.equal(small.field("content-type"), "text/plain; charset=UTF-8");
    assert.equal(small.field("last-modified"), MODIFIED);
    assert.match(small.field("etag") ?? "", /^"[^"]+"$/);
    assert.equal(small.field("accept-ranges"), "bytes");
    assert.equal(small.field("vary"), "accept-encoding");
    assert.equal(small.field("cache-control"), "no-cache");
    assert.equal(small.field("x-content-type-options"), "nosniff");
    const large = await site.get("/large.bin");
    assert.deepEqual([large.status, large.field("content-type")], [
      200,
      "application/octet-stream",
    ]);
    assert.deepEqual([...large.bytes], [...LARGE]);
  });
});

test("a file's type follows from the name that it is asked for by", async () => {
  const types = {
    "a.html": "text/html; charset=UTF-8",
    "a.JS": "text/javascript; charset=UTF-8",
    "a.svg": "image/svg+xml",
    "a.woff2": "font/woff2",
    "a.wasm": "application/wasm",
    "a.b.css": "text/css; charset=UTF-8",
    "html": "application/octet-stream",
    "a.unknown": "application/octet-stream",
    "link.png": "image/png",
  };
  const contents = Object.keys(types).map((name) => [`shown/${name}`, "x"] as const);
  const links = { "shown/link.png -> a.unknown": "" };
  const files = Object.fromEntries(contents.filter(([name]) => !name.includes("link")));
  await withSite({ ...files, ...links }, async (site) => {
    for (const [name, type] of Object.entries(types)) {
      assert.equal((await site.get(`/${name}`)).field("content-type"), type, name);
    }
  });
});

/** The fields that do not say how the message is sent. */
function content({ response }: Got): unknown[] {
  const framing = ["date", "connection", "content-length", "transfer-encoding"];
  return response.fields.filter(([name]) => !framing.includes(name)).toSorted();
}

test("HEAD is answered as GET, without the body", async () => {
  const contents = {
    "shown/empty": "",
    "shown/a.txt": "text",
    "shown/a.txt.br": "brotli",
    "shown/large.bin": LARGE,
    "shown/sub/index.html": "<p>",
  };
  const requests: [string, Fields][] = [
    ["/empty", {}],
    ["/a.txt", {}],
    ["/a.txt", { "accept-encoding": "br" }],
    ["/a.txt", { "if-modified-since": MODIFIED }],
    ["/a.txt", { "if-match": '"other"' }],
    ["/large.bin", {}],
    ["/sub/", {}],
    ["/sub", {}],
    ["/a.txt", { "accept-encoding": "identity;q=0" }],
  ];
  await withSite(contents, async (site) => {
    for (const [target, fields] of requests) {
      const [got, head] = [await site.get(target, fields), await site.get(target, fields, "HEAD")];
      const what = `${target} ${JSON.stringify(fields)}`;
      assert.equal(head.status, got.status, what);
      assert.deepEqual(content(head), content(got), what);
      // A platform may leave the length out where it sends a stream.
      const length = got.field("content-length") ?? String(got.bytes.length);
      assert.equal(length, String(got.bytes.length), what);
      if (got.status === 200) assert.equal(head.field("content-length"), length, what);
    }
  });
});

test("other methods are answered with 405, and what they may be", async () => {
  await withSite({ "shown/a.txt": "a", "shown/sub/index.html": "a" }, async (site) => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      for (const target of ["/a.txt", "/sub", "/sub/"]) {
        const got = await site.get(target, { "content-length": "0" }, method);
        assert.deepEqual(
          [got.status, got.field("allow")],
          [405, "GET, HEAD"],
          `${method} ${target}`,
        );
      }
      assert.equal((await site.get("/none", { "content-length": "0" }, method)).status, 404);
    }
  });
});

test("conditions are weighed in the order of RFC 9110", async () => {
  await withSite({ "shown/a.txt": "0123456789" }, async (site) => {
    const tag = (await site.get("/a.txt")).field("etag") ?? "";
    const [other, both] = ['"other"', `"other" , W/${tag}`];
    const range = { range: "bytes=2-4" };
    const rows: [Fields, number][] = [
      [{ "if-match": tag }, 200],
      [{ "if-match": `"other", ${tag}` }, 200],
      [{ "if-match": "*" }, 200],
      [{ "if-match": other }, 412],
      [{ "if-match": `W/${tag}` }, 412],
      [{ "if-match": tag, "if-unmodified-since": DAY_BEFORE }, 200],
      [{ "if-match": other, "if-none-match": tag }, 412],
      [{ "if-match": tag, "if-none-match": tag }, 304],
      [{ "if-unmodified-since": MODIFIED }, 200],
      [{ "if-unmodified-since": DAY_BEFORE }, 412],
      [{ "if-unmodified-since": "yesterday" }, 200],
      [{ "if-none-match": tag }, 304],
      [{ "if-none-match": both }, 304],
      [{ "if-none-match": "*" }, 304],
      [{ "if-none-match": other }, 200],
      [{ "if-none-match": other, "if-modified-since": DAY_AFTER }, 200],
      [{ "if-modified-since": MODIFIED }, 304],
      [{ "if-modified-since": "Tuesday, 02-Jan-24 03:04:05 GMT" }, 304],
      [{ "if-modified-since": "Tue Jan  2 03:04:05 2024" }, 304],
      [{ "if-modified-since": DAY_AFTER }, 304],
      [{ "if-modified-since": DAY_BEFORE }, 200],
      [{ "if-modified-since": "2024-01-03T03:04:05Z" }, 200],
      [{ ...range }, 206],
      [{ ...range, "if-range": tag }, 206],
      [{ ...range, "if-range": other }, 200],
      [{ ...range, "if-range": `W/${tag}` }, 200],
      [{ ...range, "if-range": MODIFIED }, 206],
      [{ ...range, "if-range": DAY_AFTER }, 200],
      [{ ...range, "if-range": "nonsense" }, 200],
      [{ ...range, "if-none-match": tag }, 304],
      [{ ...range, "if-match": other }, 412],
      [{ "range": "bytes=10-", "if-range": other }, 200],
      [{ "range": "bytes=10-", "if-range": tag }, 416],
    ];
    for (const [fields, status] of rows) {
      const got = await site.get("/a.txt", fields);
      assert.equal(got.status, status, JSON.stringify(fields));
      const text = { 200: "0123456789", 206: "234", 304: "" }[status];
      if (text !== undefined) assert.equal(got.text, text, JSON.stringify(fields));
      if (status !== 304) continue;
      assert.equal(got.field("etag"), tag);
      assert.equal(got.field("cache-control"), "no-cache");
      assert.equal(got.field("vary"), "accept-encoding");
      assert.equal(got.field("content-type"), undefined);
    }
  });
});

test("an entity tag is another one for each state, and weak while states may look alike", async () => {
  await withSite({ "shown/a.txt": "one" }, async (site) => {
    const path = join(site.folder, "shown/a.txt");
    const tag = async () => (await site.get("/a.txt")).field("etag") ?? "";
    site.aheadMs = 0;
    const first = await tag();
    assert.match(first, /^W\/"/);
    const range = { range: "bytes=0-0" };
    assert.equal((await site.get("/a.txt", range)).status, 206);
    assert.equal((await site.get("/a.txt", { ...range, "if-range": first })).status, 200);
    assert.equal((await site.get("/a.txt", { ...range, "if-range": MODIFIED })).status, 200);
    site.aheadMs = 60_000;
    assert.equal(`W/${await tag()}`, first, "the same one, strong when it is settled");
    // Of the same size and date, as archives make them.
    writeFileSync(`${path}.new`, "two");
    utimesSync(`${path}.new`, new Date(MODIFIED), new Date(MODIFIED));
    renameSync(`${path}.new`, path);
    const second = await tag();
    assert.notEqual(`W/${second}`, first);
    utimesSync(path, new Date(DAY_AFTER), new Date(DAY_AFTER));
    assert.notEqual(await tag(), second);
  });
});

test("no file says that it was modified in the future", async () => {
  await withSite({ "shown/a.txt": "a" }, async (site) => {
    site.aheadMs = Date.parse(DAY_BEFORE) - Date.now();
    const got = await site.get("/a.txt");
    assert.ok(Date.parse(got.field("last-modified") ?? "") <= Date.parse(DAY_BEFORE) + 60_000);
    assert.match(got.field("etag") ?? "", /^W\//);
  });
});

test("a range is the same bytes as a slice of the file", async () => {
  const sizes = [0, 1, 1000, LARGE.length];
  const files = sizes.map((size) => [`shown/${size}`, LARGE.subarray(0, size)] as const);
  const place = fc.oneof(fc.nat(12), fc.nat(1100), fc.nat(LARGE.length + 9), fc.constant(1e30));
  const range = fc.oneof(
    fc.record({ first: place, last: fc.option(place, { nil: undefined }) }),
    fc.record({ suffix: place }),
  );
  const cases = fc.record({ size: fc.constantFrom(...sizes), range });
  await withSite(Object.fromEntries(files), async (site) => {
    await holds(150, cases, async ({ size, range }) => {
      const digits = (value: number | undefined) => value === undefined ? "" : BigInt(value);
      const field = "suffix" in range
        ? `bytes=-${digits(range.suffix)}`
        : `bytes=${digits(range.first)}-${digits(range.last)}`;
      const got = await site.get(`/${size}`, { range: field });
      const [start, end] = "suffix" in range
        ? [Math.max(0, size - range.suffix), size]
        : [range.first, (range.last ?? Infinity) + 1];
      const isReverse = !("suffix" in range) && (range.last ?? Infinity) < range.first;
      const expected = LARGE.subarray(0, size).slice(Math.min(start, size), Math.min(end, size));
      if (isReverse || ("suffix" in range && size === 0 && range.suffix > 0)) {
        assert.deepEqual([got.status, got.bytes.length], [200, size], field);
      } else if (expected.length === 0) {
        assert.equal(got.status, 416, field);
        assert.equal(got.field("content-range"), `bytes */${size}`);
      } else {
        assert.equal(got.status, 206, field);
        assert.ok(expected.every((byte, i) => byte === got.bytes[i]), field);
        assert.equal(got.bytes.length, expected.length, field);
        const last = start + expected.length - 1;
        assert.equal(got.field("content-range"), `bytes ${start}-${last}/${size}`);
      }
    });
  });
});

test("a range that is malformed, of another unit or one of several is not minded", async () => {
  const near = fc.string({ unit: fc.constantFrom(..."bytes=0123456789-, ;"), maxLength: 12 });
  const fields = fc.oneof(
    fc.constantFrom("items=0-1", "bytes 0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-0"),
    fc.constantFrom("bytes=0-0,2-3", "bytes=0-0, -1", "bytes=0-1-2", "bytes=0x1-2", "bytes=-1-2"),
    near,
    near.map((text) => `bytes=${text}`),
  ).filter((field) => !/^bytes=[ ]*(?:\d+-\d*|-\d+)[ ]*$/.test(field.trim()));
  await withSite({ "shown/a.txt": "0123456789" }, async (site) => {
    await holds(60, fields, async (range) => {
      const got = await site.get("/a.txt", { range });
      assert.deepEqual([got.status, got.text], [200, "0123456789"], range);
    });
    assert.equal((await site.get("/a.txt", { range: "Bytes= 2-3 " })).text, "23");
    assert.equal((await site.get("/a.txt", { range: "bytes=2-3" }, "HEAD")).status, 200);
  });
});

test("what is beside a file and compressed is sent to those who take it", async () => {
  const contents = {
    "shown/a.js": "identity",
    "shown/a.js.br": "br",
    "shown/a.js.gz": "gzip",
    "shown/gz.js": "identity",
    "shown/gz.js.gz": "gzip",
    "shown/alone.js": "identity",
    "shown/folder.js": "identity",
    "shown/folder.js.br/a": "a",
  };
  const rows: [target: string, field: string | undefined, sent: string | 406][] = [
    ["/a.js", undefined, "identity"],
    ["/a.js", "", "identity"],
    ["/a.js", "gzip, deflate, br, zstd", "br"],
    ["/a.js", "GZIP", "gzip"],
    ["/a.js", "br;q=0.5, gzip;q=0.8", "gzip"],
    ["/a.js", "br;q=0, *", "gzip"],
    ["/a.js", "*", "br"],
    ["/a.js", "deflate", "identity"],
    ["/a.js", "br;q=0.1, identity;q=0.5", "identity"],
    ["/a.js", "identity;q=0, gzip;q=0.1", "gzip"],
    ["/a.js", "br;q=0, gzip;q=0", "identity"],
    ["/a.js", "*;q=0", 406],
    ["/gz.js", "br, gzip", "gzip"],
    ["/gz.js", "br", "identity"],
    ["/gz.js", "br, identity;q=0", 406],
    ["/alone.js", "br, gzip", "identity"],
    ["/alone.js", "br, *;q=0", 406],
    ["/folder.js", "br", "identity"],
  ];
  await withSite(contents, async (site) => {
    for (const [target, field, sent] of rows) {
      const fields: Fields = field === undefined ? {} : { "accept-encoding": field };
      const got = await site.get(target, fields);
      const what = `${target} ${field}`;
      assert.equal(got.field("vary"), "accept-encoding", what);
      if (sent === 406) {
        assert.equal(got.status, 406, what);
        continue;
      }
      assert.deepEqual([got.status, got.text], [200, sent], what);
      assert.equal(got.field("content-encoding"), sent === "identity" ? undefined : sent, what);
      assert.equal(got.field("content-type"), "text/javascript; charset=UTF-8", what);
    }
    const plain = await site.get("/a.js");
    const brotli = await site.get("/a.js", { "accept-encoding": "br" });
    assert.notEqual(plain.field("etag"), brotli.field("etag"));
    const part = { "accept-encoding": "gzip", range: "bytes=1-2" };
    const got = await site.get("/a.js", part);
    assert.deepEqual([got.text, got.field("content-range")], ["zi", "bytes 1-2/4"]);
    assert.equal((await site.get("/a.js.br")).text, "br");
  });
});

test("what is beside a file and older than it is not sent", async () => {
  await withSite({ "shown/a.js": "new", "shown/a.js.br": "old" }, async (site) => {
    const get = () => site.get("/a.js", { "accept-encoding": "br" });
    assert.equal((await get()).text, "old", "of the same second");
    utimesSync(join(site.folder, "shown/a.js"), new Date(DAY_AFTER), new Date(DAY_AFTER));
    assert.equal((await get()).text, "new");
  });
});

test("a folder is its index.html, and a path to it without a slash leads there", async () => {
  const contents = {
    "shown/index.html": "root",
    "shown/sub/index.html": "sub",
    "shown/sub/Ä b/index.html": "deep",
    "shown/bare/a.txt": "a",
    "shown/odd/index.html/a.txt": "a",
  };
  await withSite(contents, async (site) => {
    for (const [target, text] of [["", "root"], ["sub/", "sub"], ["sub/%C3%84%20b/", "deep"]]) {
      const got = await site.get(`/files/${target}`);
      assert.deepEqual([got.status, got.text], [200, text]);
      assert.equal(got.field("content-type"), "text/html; charset=UTF-8");
    }
    const moved = { "": "/", "/sub": "/sub/", "/sub?a=/b#c": "/sub/?a=/b" };
    for (const [target, location] of Object.entries(moved)) {
      const got = await site.get(`/files${target}`);
      assert.deepEqual([got.status, got.field("location")], [301, `/files${location}`]);
    }
    for (
      const target of ["/bare/", "/bare", "/bare/a.txt/", "/odd/", "//sub/", "/sub//", "/SUB/"]
    ) {
      assert.equal((await site.get(`/files${target}`)).text, "none", target);
    }
    assert.equal((await site.get("/sub/")).text, "none", "not below the prefix");
    assert.equal((await site.get("/filesystem")).text, "none");
  }, { prefix: "/files/" });
});

test("what caches are told can be chosen", async () => {
  const cacheControl = "public, max-age=31536000, immutable";
  await withSite({ "shown/a.3f.js": "a" }, async (site) => {
    assert.equal((await site.get("/static/a.3f.js")).field("cache-control"), cacheControl);
  }, { cacheControl });
});

/** Asks for a file, and takes what comes by hand. */
function take(site: FileSite, target: string, headers: Fields = {}) {
  return new Promise<{ received: () => number; resume: () => void; ended: Promise<boolean> }>(
    (resolve, reject) => {
      const request = get(
        `${site.running.origin}${target}`,
        { agent: false, headers },
        (response) => {
          let received = 0;
          response.on("data", (data: Uint8Array) => received += data.length);
          response.pause();
          const ended = new Promise<boolean>((resolve) => {
            response.on("close", () => resolve(response.complete));
            response.on("error", () => resolve(false));
          });
          resolve({ received: () => received, resume: () => void response.resume(), ended });
        },
      );
      request.on("error", reject);
    },
  );
}

test("a large file is read no faster than it is taken", async () => {
  const size = 100_000_000;
  await withSite({ "shown/large.bin": "" }, async (site) => {
    truncateSync(join(site.folder, "shown/large.bin"), size);
    const client = await take(site, "/large.bin");
    // What the sockets between hold is a few megabytes; then nothing more is read.
    for (let before = -1; site.bytesRead !== before;) {
      before = site.bytesRead;
      for (let i = 0; i < 20; i++) await turn();
    }
    assert.ok(site.bytesRead > 0);
    assert.ok(site.bytesRead < 16_000_000, `${site.bytesRead} bytes were read`);
    let most = 0;
    site.beforeRead = () => most = Math.max(most, site.bytesRead - client.received());
    client.resume();
    assert.equal(await client.ended, true);
    assert.equal(client.received(), size);
    assert.ok(most < 16_000_000, `${most} bytes were on their way`);
  });
});

test("a file is closed when its client leaves", async () => {
  await withSite({ "shown/large.bin": new Uint8Array(30_000_000) }, async (site) => {
    for (const leave of ["leave", "reset"] as const) {
      const client = site.running.client().get("/large.bin").pause();
      await until(() => site.openFiles === 1 && site.bytesRead > 0);
      client[leave]();
      await until(() => site.openFiles === 0);
    }
    assert.deepEqual(site.running.reports, []);
  });
});

test("a file that shrinks or is overwritten while it is sent ends the exchange", async () => {
  const overwrite = (path: string, bytes: Uint8Array) => {
    const fd = openSync(path, "r+");
    writeSync(fd, bytes);
    closeSync(fd);
  };
  const changes: ((path: string) => void)[] = [
    (path) => truncateSync(path, 70_000),
    (path) => truncateSync(path, 0),
    (path) => overwrite(path, LARGE.toReversed()),
    (path) => writeFileSync(path, LARGE.toReversed().subarray(0, 180_000)),
  ];
  for (const change of changes) {
    await withSite({ "shown/large.bin": LARGE }, async (site) => {
      site.beforeRead = (count) => {
        if (count === 1) change(join(site.folder, "shown/large.bin"));
      };
      const client = await take(site, "/large.bin", { range: "bytes=0-149999" });
      client.resume();
      assert.equal(await client.ended, false);
      assert.ok(client.received() < 150_000);
      await until(() => site.running.reports.length > 0);
      assert.match(String(site.running.reports[0]), /FileChanged.*large\.bin/);
    });
  }
});

test("a small file that changes while it is read is answered with 503", async () => {
  await withSite({ "shown/a.txt": "0123456789" }, async (site) => {
    site.beforeRead = () => truncateSync(join(site.folder, "shown/a.txt"), 3);
    const got = await site.get("/a.txt");
    assert.deepEqual([got.status, got.field("retry-after")], [503, "1"]);
    site.beforeRead = () => {};
    assert.equal((await site.get("/a.txt")).text, "012");
  });
});

test("a file that is replaced or grows while it is sent is sent as it was", async () => {
  const changes: ((path: string) => void)[] = [
    (path) => {
      writeFileSync(`${path}.new`, "new");
      renameSync(`${path}.new`, path);
    },
    (path) => rmSync(path),
    (path) => appendFileSync(path, "more"),
  ];
  for (const change of changes) {
    await withSite({ "shown/large.bin": LARGE }, async (site) => {
      site.beforeRead = (count) => {
        if (count === 1) change(join(site.folder, "shown/large.bin"));
      };
      const got = await site.get("/large.bin");
      assert.deepEqual([...got.bytes], [...LARGE]);
      assert.ok(got.response.isWhole);
    });
  }
});
