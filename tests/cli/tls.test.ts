/** HTTPS from the command line: files, what is wrong with them, and another certificate at SIGHUP. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { test } from "node:test";
import { RawClient } from "../../adapters/conformance/raw_client.ts";
import { Certificate } from "../../adapters/cli/certificate.ts";
import { StartError } from "../../adapters/cli/exit.ts";
import { resolveSettings, UsageError } from "../../adapters/cli/options.ts";
import { serve, type TlsOptions } from "../../mod.ts";
import { makeCertificate } from "../support/certificate.ts";
import { RUNTIME } from "../support/runtime.ts";
import { listening, signal, start, type Started, withFolder } from "../support/server_process.ts";

const APP = "examples/hello_world/main.ts";

interface Pair {
  readonly cert: string;
  readonly key: string;
  write(tls: TlsOptions): Promise<void>;
}

function pairIn(folder: string): Pair {
  const cert = join(folder, "cert.pem");
  const key = join(folder, "key.pem");
  const write = async (tls: TlsOptions): Promise<void> => {
    await writeFile(cert, tls.cert);
    await writeFile(key, tls.key);
  };
  return { cert, key, write };
}

/** Resolves when the server has said something of this kind. */
async function said(server: Started, what: RegExp): Promise<void> {
  while (!what.test(server.stderr())) {
    await Promise.race([
      once(server.child.stderr ?? server.child, "data"),
      server.ended.then(() => assert.fail(server.stderr())),
    ]);
  }
}

/** The name in the certificate that new connections get. */
async function nameAt(port: number): Promise<unknown> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

test("--tls-cert serves HTTPS, and what is in its file at SIGHUP, if that is any good", () =>
  withFolder(async (folder) => {
    const files = pairIn(folder);
    await files.write(makeCertificate({ name: "old.test", validTo: new Date("2020-01-02") }));
    const options = ["--addr", "127.0.0.1:0", "--admin-addr", ":0", "--tls-key", files.key];
    const server = start(APP, [...options, "--events-file", join(folder, "db.events")], {
      env: { ALCEDO_TLS_CERT: files.cert },
    });
    try {
      const url = await listening(server);
      assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
      assert.match(
        server.stderr(),
        /^alcedo: the certificate of old\.test, 127\.0\.0\.1 has expired on 2020-01-02: clients will /m,
      );
      const port = Number(new URL(url).port);
      const client = new RawClient(port, { isSecure: true });
      assert.equal((await client.get("/").response()).body.toString(), "Hello World\n");
      const admin = /health and metrics are on (http:\S+)/.exec(server.stderr())?.[1];
      assert.equal((await fetch(`${admin}/healthz`)).status, 200, "without TLS");

      const validTo = new Date(Date.now() + 1e9);
      await files.write(makeCertificate({ name: "new.test", validTo }));
      signal(server, "SIGHUP");
      if (RUNTIME === "deno") {
        await said(server, /was not replaced: this takes a restart on Deno\n/);
      } else {
        const until = validTo.toISOString().slice(0, 10);
        await said(server, new RegExp(`of new.test, 127.0.0.1, valid until ${until}\n`));
      }
      const name = RUNTIME === "deno" ? "old.test" : "new.test";
      assert.equal(await nameAt(port), name);
      // On Bun what is idle is closed, as at a stop.
      if (RUNTIME === "bun") await client.closed;
      else assert.equal((await client.get("/").response()).status, 200, "it goes on");

      await writeFile(files.key, makeCertificate().key);
      signal(server, "SIGHUP");
      await said(server, /was not replaced: cannot serve TLS: the key is not that of the cert/);
      assert.equal(await nameAt(port), name);

      signal(server, "SIGTERM");
      assert.deepEqual(await server.ended, { code: 0, signal: null });
      assert.equal(server.stdout(), `Listening on ${url}\n`);
    } finally {
      if (server.child.exitCode === null) signal(server, "SIGKILL");
      await server.ended;
    }
  }));

test("a certificate that is not there is said in one line, with exit code 1", async () => {
  const missing = start(APP, ["--tls-cert", "no/cert.pem", "--tls-key", "no/key.pem"]);
  assert.equal((await missing.ended).code, 1);
  assert.equal(
    missing.stderr(),
    'alcedo: cannot read "no/cert.pem" of --tls-cert: there is no such file\n',
  );
  assert.equal(missing.stdout(), "");
});

test("a start is refused for files that do not make a certificate and its key", () =>
  withFolder(async (folder) => {
    const { cert, key, write } = pairIn(folder);
    const open = (flags: Record<string, string>) => () =>
      Certificate.open(resolveSettings(flags, {}, {}), undefined);
    assert.throws(open({ "tls-cert": cert }), new UsageError("--tls-cert needs --tls-key"));
    assert.throws(open({ "tls-key": key }), new UsageError("--tls-key needs --tls-cert"));
    const both = open({ "tls-cert": cert, "tls-key": key });
    await write({ cert: makeCertificate().cert, key: makeCertificate().key });
    assert.throws(both, (error) => {
      assert.ok(error instanceof StartError);
      assert.match(
        error.message,
        /^cannot serve TLS: the key is not .*cert\.pem", ".*key\.pem"\)$/,
      );
      return true;
    });
    assert.throws(
      open({ "tls-cert": folder, "tls-key": key }),
      new StartError(`cannot read "${folder}" of --tls-cert: it is a folder`),
    );
  }));

test("serve takes a certificate itself, and another one later", async () => {
  const handler = (request: Request): Response => new Response(request.url);
  const server = await serve(handler, { addr: "127.0.0.1:0", args: [], tls: makeCertificate() });
  const { port } = server.addr;
  const { body } = await new RawClient(port, { isSecure: true }).get("/a").response();
  assert.equal(body.toString(), "https://test/a");
  await server.setTls?.(makeCertificate({ name: "later.test" }));
  assert.equal(await nameAt(port), RUNTIME === "deno" ? "localhost" : "later.test");
  await server.stop();
});
