/**
 * What the three platforms' own servers do otherwise than the conformance suite says, and no
 * adapter can mend: it cannot see it, or only at a cost that every request would pay. Each is shown
 * on the bare server whenever the suite runs, byte by byte; one that has healed is a failure.
 * There is no other list.
 */

import type { ConformanceGap } from "../../adapters/conformance.ts";
import type { Runtime } from "../support/runtime.ts";

const TWO_HOSTS = "it takes the first host; a look at the field would cost every request 0.5 µs";
const ABSOLUTE = "it shows an absolute target as a path on the host of the Host field";
const NORMALISED = "it shows a URL that is normalised already";
const CLOSES = "it closes the connection without a byte when it does not know the method";
const NO_VERSION = "it does not say whether a request is HTTP/1.0, where that is allowed";
const ABSOLUTE_HOST = "it shows no difference between an absolute target and a path";
const BARE_LF = "it takes an LF for the end of a line, as RFC 9112, section 2.2, allows";
const UNSEEN = "it answers itself, and shows nothing of the request";
const UNCOUNTED = "it accepts every connection, and shows none";
const EARLY_100 = "it answers the expectation whatever the version";

/** The gaps of each. */
export const GAPS: Readonly<Record<Runtime, readonly ConformanceGap[]>> = {
  node: [],
  bun: [
    {
      name: "adapter shows an absolute, normalised URL for an absolute target of another host",
      why: ABSOLUTE,
    },
    {
      name: "adapter shows an absolute, normalised URL for the target * of OPTIONS",
      why: "it answers 400",
    },
    { name: "adapter answers 400 and asks no handler for two hosts", why: TWO_HOSTS },
    { name: "adapter answers 400 and asks no handler for the same host twice", why: TWO_HOSTS },
    {
      name: "adapter answers 400 and asks no handler for an absolute target with a user",
      why: ABSOLUTE,
    },
    {
      name: "adapter answers 400 and asks no handler for an absolute target without a host",
      why: ABSOLUTE,
    },
    {
      name: "adapter answers 400 and asks no handler for a target with a backslash",
      why: NORMALISED,
    },
    {
      name: "adapter answers 400 and asks no handler for a target that is not ASCII",
      why: NORMALISED,
    },
    { name: "adapter answers 501 and asks no handler for the method FOO", why: CLOSES },
    {
      name: "adapter answers 501 and asks no handler for the method get in lower case",
      why: CLOSES,
    },
    { name: "adapter hands on every other registered method, or answers 501", why: CLOSES },
    {
      name: "adapter says the type of a text to HEAD, too",
      why: "it leaves out a type that the body, and not the handler, has given",
    },
    {
      name: "adapter reads a chunked body of a trailer, and the next request",
      why: "it takes the trailer for the next request, and refuses that",
    },
    {
      name: "adapter sends a stream whose length is known with that length",
      why: "it sends every stream in chunks",
    },
    {
      name: "adapter passes over an empty line before a request line",
      why: "it answers 400",
    },
    {
      name: "adapter answers pipelined requests in their order, and waits for the first",
      why: "it closes the connection when a request comes before the answer to the last",
    },
    {
      name:
        "adapter sends 100 before its answer, and not within, to a request that waits for another",
      why: "it closes the connection when a request comes before the answer to the last",
    },
    {
      name: "adapter answers what came before a malformed request",
      why: "it answers 400 at once, and closes",
    },
    {
      name: "adapter answers what came before a CONNECT",
      why: "it closes the connection when a request comes before the answer to the last",
    },
    { name: "adapter sends no 100 to a client of HTTP/1.0", why: EARLY_100 },
    {
      name: "adapter answers 408 to a header that does not arrive in time, however it trickles in",
      why: "it closes the connection after 12 s, without a word",
    },
    {
      name: "adapter closes a new connection on which nothing comes, without a word",
      why: "it does so after 12 s, always",
    },
    {
      name: "adapter closes a connection beyond the limit, and takes others when there is room",
      why: UNCOUNTED,
    },
    {
      name: "adapter sends the handler's page for a request that cannot be read",
      why: UNSEEN,
    },
  ],
  deno: [
    { name: "adapter answers 400 and asks no handler for no host, in HTTP/1.1", why: NO_VERSION },
    {
      name: "adapter answers 400 and asks no handler for an absolute target and no host",
      why: NO_VERSION,
    },
    {
      name: "adapter answers 400 and asks no handler for an absolute target and an invalid host",
      why: ABSOLUTE_HOST,
    },
    {
      name: "adapter answers 400 and asks no handler for an absolute target without a host",
      why: "it takes it for a path, and puts a slash before it",
    },
    {
      name: "adapter answers 400 and asks no handler for a host that is not ASCII",
      why: "it shows a URL with its own address instead, and a look at the field costs 0.9 µs",
    },
    {
      name:
        "adapter answers 400 or 505, closes, and asks no handler for an LF that ends the request line",
      why: BARE_LF,
    },
    {
      name: "adapter answers 400 or 505, closes, and asks no handler for an LF that ends a field",
      why: BARE_LF,
    },
    {
      name:
        "adapter answers 400 or 505, closes, and asks no handler for an LF that ends the header",
      why: BARE_LF,
    },
    {
      name: "adapter answers 400 or 505, closes, and asks no handler for a header of LFs",
      why: BARE_LF,
    },
    {
      name: "adapter answers 431, closes, and asks no handler for 5000 header fields",
      why: "it answers 400",
    },
    {
      name: "adapter answers 400 to a body whose chunking is broken",
      why: "it fails the reading of the body, and sends what the handler answers to that",
    },
    { name: "adapter sends no 100 to a client of HTTP/1.0", why: EARLY_100 },
    {
      name: "adapter reads the body of a client that has closed its half behind it",
      why: "it fails the reading of the body, though all of it has come",
    },
    {
      name: "server lets a body arrive, and its answer leave, when it stops",
      why: "it fails the reading of every body as soon as it is told to shut down",
    },
    {
      name: "adapter answers 408 to a header that does not arrive in time, however it trickles in",
      why: "it waits for ever",
    },
    {
      name: "adapter closes a new connection on which nothing comes, without a word",
      why: "it waits for ever",
    },
    {
      name: "adapter closes a connection that is idle after an answer, at once or later",
      why: "it waits for ever",
    },
    {
      name: "adapter closes the connection of a late body, whatever its handler answers",
      why: "it reads on, for ever",
    },
    {
      name: "adapter sends its answer while a body that nobody reads still comes, and ends that",
      why: "it reads on, for ever",
    },
    {
      name: "adapter closes a connection beyond the limit, and takes others when there is room",
      why: UNCOUNTED,
    },
    {
      name: "adapter sends the handler's page for a request that cannot be read",
      why: UNSEEN,
    },
  ],
};

/**
 * What is not stated over TLS. The client is of the same runtime there, and Deno's takes all that
 * comes, whether it is read or not: it shows nothing of a server that waits for its reader. Node's own
 * server does not always see there that a client has reset its connection, if the machine is busy. And
 * what takes seconds, and does not depend on how bytes come.
 */
export const LEFT_OUT_OVER_TLS: readonly string[] = [
  "adapter pulls no more from a stream than its client reads, and sends all of it",
  "adapter takes no more of a body than is taken of what it sends back, and hands on all of it",
  "adapter does not say that a stream is over while its client does not read it",
  ...["GET", "HEAD"].map((method) =>
    `adapter says once that an exchange is over, and lets go of its stream, whenever the client of a ${method} leaves`
  ),
  "adapter gives each MiB of a body its time, read as bytes",
  "adapter gives each MiB of a body its time, read as a stream",
  "adapter sends its answer while a body that nobody reads still comes, and ends that",
];
