/** TLS of the adapter that the tests run on: versions, certificates, and clients that never finish. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { test } from "node:test";
import { RawClient } from "../../adapters/conformance/raw_client.ts";
import { deferred, Trial } from "../../adapters/conformance/trial.ts";
import { listen } from "../../adapters/listen.ts";
import { makeCertificate } from "../support/certificate.ts";
import { RUNTIME } from "../support/runtime.ts";

const tls = makeCertificate();
const ANY = { hostname: "127.0.0.1", port: 0 };
const text = (): Response => new Response("text");

/** A handshake: what was agreed on, and whose certificate it is. */
async function handshake(
  port: number,
  options: { versions?: "TLSv1.2" | "TLSv1.3"; protocols?: string[] } = {},
): Promise<{ version: string | null; protocol: string | false | null; name: unknown }> {
  const { versions, protocols } = options;
  const socket: TLSSocket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ...versions && { minVersion: versions, maxVersion: versions },
    ...protocols && { ALPNProtocols: protocols },
  });
  await once(socket, "secureConnect");
  const { alpnProtocol: protocol } = socket;
  const agreed = {
    version: socket.getProtocol(),
    protocol,
    name: socket.getPeerCertificate().subject.CN,
  };
  socket.destroy();
  return agreed;
}

test("TLS adapter speaks TLS 1.2 and 1.3, and the protocol that a client asks for", () =>
  new Trial(listen, tls).withServer(text, async ({ port }) => {
    for (const versions of ["TLSv1.2", "TLSv1.3"] as const) {
      assert.equal((await handshake(port, { versions })).version, versions);
    }
    const asked = async (protocols: string[]) => (await handshake(port, { protocols })).protocol;
    assert.equal(await asked(["h2", "http/1.1"]), "h2");
    assert.equal(await asked(["http/1.1"]), "http/1.1");
  }));

test("TLS adapter refuses a client of TLS 1.1 with an alert", () =>
  new Trial(listen, tls).withServer(text, async ({ port }) => {
    const client = new RawClient(port).send(clientHello(0x0302));
    await client.closed;
    assert.equal(client.received.charCodeAt(0), 21, "the type of an alert");
  }));

/** The first message of a client that knows no version after `version`. */
function clientHello(version: number): Uint8Array {
  const at = (value: number): number[] => [value >> 8, value & 0xff];
  const suites = [0xc013, 0xc014, 0x002f, 0x0035].flatMap(at);
  const hello = [...at(version), ...new Uint8Array(32), 0, ...at(suites.length), ...suites, 1, 0];
  return Uint8Array.from([
    ...[22, ...at(0x0301), ...at(hello.length + 4)],
    ...[1, 0, ...at(hello.length), ...hello],
  ]);
}

test("TLS adapter answers nothing to HTTP without TLS, reports nothing, and serves on", async () => {
  const reports: unknown[] = [];
  const server = await listen(text, { ...ANY, tls, report: (error) => void reports.push(error) });
  for (const bytes of ["GET / HTTP/1.1\r\nhost: h\r\n\r\n", "\0".repeat(1000)]) {
    const plain = new RawClient(server.addr.port).send(bytes);
    await plain.closed;
    assert.doesNotMatch(plain.received, /HTTP/);
  }
  const client = new RawClient(server.addr.port, { isSecure: true }).get("/");
  assert.equal((await client.response()).body.toString(), "text");
  await server.stop();
  assert.deepEqual(reports, []);
});

test("TLS adapter stops though a client hangs in its handshake", async () => {
  const server = await listen(text, { ...ANY, tls });
  const { port } = server.addr;
  const silent = await new RawClient(port).connected();
  const slow = (await new RawClient(port).connected()).send(clientHello(0x0303).subarray(0, 20));
  // Behind them, so that both were accepted.
  await handshake(port);
  const since = performance.now();
  await server.stop({ graceMs: 60_000 });
  assert.ok(performance.now() - since < 10_000);
  silent.leave();
  slow.leave();
});

const REFUSED = {
  "a certificate that is none": [{ ...tls, cert: "none" }, SyntaxError],
  "a key that is none": [{ ...tls, key: "none" }, SyntaxError],
  "a key with a passphrase": [{ ...tls, key: lockedKey() }, SyntaxError],
  "the key of another certificate": [{ ...tls, key: makeCertificate().key }, RangeError],
} as const;

function lockedKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const lock = { cipher: "aes-256-cbc", passphrase: "sesame" };
  return privateKey.export({ type: "pkcs8", format: "pem", ...lock }).toString();
}

for (const [what, [wrong, error]] of Object.entries(REFUSED)) {
  test(`TLS adapter refuses ${what}, at the start and later`, async () => {
    await assert.rejects(listen(text, { ...ANY, tls: wrong }), error);
    const server = await listen(text, { ...ANY, tls: makeCertificate({ name: "old.test" }) });
    if (server.setTls !== undefined) await assert.rejects(server.setTls(wrong), error);
    assert.equal((await handshake(server.addr.port)).name, "old.test");
    await server.stop();
  });
}

test("TLS adapter gives another certificate to new connections, where the platform can", async () => {
  const called = deferred();
  const answer = deferred();
  const server = await listen(async (request) => {
    if (!request.url.endsWith("/slow")) return text();
    called.resolve();
    await answer.promise;
    return new Response("slow");
  }, { ...ANY, tls: makeCertificate({ name: "one.test" }) });
  const { port } = server.addr;
  const inFlight = new RawClient(port, { isSecure: true }).get("/slow");
  const silent = await new RawClient(port, { isSecure: true }).connected();
  await called.promise;
  assert.equal(server.setTls === undefined, RUNTIME === "deno");
  if (server.setTls !== undefined) {
    for (const name of ["two.test", "three.test"]) {
      await server.setTls(makeCertificate({ name }));
      assert.equal((await handshake(port)).name, name);
    }
  }
  assert.equal((await silent.get("/").response()).body.toString(), "text");
  answer.resolve();
  assert.equal((await inFlight.response()).body.toString(), "slow");
  await server.stop();
  await Promise.all([inFlight.closed, silent.closed]);
  await assert.rejects(new RawClient(port).connected(), "no server before the last is left");
});
