/**
 * TLS on Node: a server for HTTP/1.1 that takes TLS off, and hands on those connections whose
 * clients have asked for HTTP/2.
 */

import type { ServerOptions } from "node:http";
import { createServer, type Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";
import { type AnswerHttp2, Http2Connections } from "./_node_http2.ts";
import { checkTls, TLS_VERSION_MIN } from "./_tls.ts";

/** Milliseconds for a handshake; Node's own default is 120 s. */
const HANDSHAKE_MS = 10_000;

/** What a TLS server does beyond what each server does. */
export interface SecureServer {
  readonly server: HttpsServer;
  setTls(tls: TlsOptions): Promise<void>;
  /** Closes what `close` of the server waits for, and leaves alone: handshakes, idle HTTP/2. */
  drain(): void;
  /** Closes the connections that `closeAllConnections` of the server does not know. */
  cut(): void;
}

/** @throws what `checkTls` throws. */
export function createSecureServer(
  tls: TlsOptions,
  parser: ServerOptions,
  answerHttp2: AnswerHttp2,
): SecureServer {
  const server = createServer({
    ...parser,
    ...contextOf(tls),
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  const http2 = new Http2Connections(answerHttp2);
  const http1 = server.listeners("secureConnection");
  server.removeAllListeners("secureConnection");
  const connections = new Set<TLSSocket>();
  server.on("secureConnection", (socket: TLSSocket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    if (socket.alpnProtocol === "h2") return http2.accept(socket);
    for (const accept of http1) accept.call(server, socket);
  });
  // Node would have an error of a handshake answered like one of HTTP, which nobody could read.
  server.removeAllListeners("tlsClientError");
  server.on("tlsClientError", (_, connection) => connection.destroy());
  const closeHandshakes = watchHandshakes(server);
  return {
    server,
    setTls: (tls) =>
      new Promise((resolve) => {
        server.setSecureContext(contextOf(tls));
        resolve();
      }),
    drain() {
      closeHandshakes();
      http2.drain();
    },
    cut() {
      http2.cut();
      // Node forgets those of a CONNECT, and may not notice that such a client has left.
      for (const connection of connections) connection.destroy();
    },
  };
}

function contextOf(tls: TlsOptions): SecureContextOptions {
  checkTls(tls);
  return { cert: tls.cert, key: tls.key, minVersion: TLS_VERSION_MIN };
}

/** Node closes idle connections only if their handshake is over, and waits for all others. */
function watchHandshakes(server: HttpsServer): () => void {
  const handshakes = new Map<string, Socket>();
  // The connection and what TLS makes of it are two objects, of the same peer.
  const peerOf = ({ remoteAddress, remotePort }: Socket): string =>
    `${remoteAddress} ${remotePort}`;
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    handshakes.set(peer, socket);
    socket.once("close", () => {
      if (handshakes.get(peer) === socket) handshakes.delete(peer);
    });
  });
  server.on("secureConnection", (socket: TLSSocket) => handshakes.delete(peerOf(socket)));
  return () => {
    for (const socket of handshakes.values()) socket.destroy();
  };
}
