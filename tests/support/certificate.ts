/**
 * Certificates for tests, signed by themselves and made when they are needed: no key is kept, and
 * any of them can be old, or for another host.
 */

import { generateKeyPairSync, sign } from "node:crypto";
import type { TlsOptions } from "../../runtime/http/fetch_handler.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Options of {@linkcode makeCertificate}. */
export interface CertificateOptions {
  /** Besides 127.0.0.1. */
  name?: string;
  validFrom?: Date;
  validTo?: Date;
}

/** A certificate, and the key to it. */
export function makeCertificate({
  name = "localhost",
  validFrom = new Date(Date.now() - DAY_MS),
  validTo = new Date(Date.now() + 30 * DAY_MS),
}: CertificateOptions = {}): TlsOptions {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signature = sequence(ECDSA_WITH_SHA256);
  const holder = sequence(der(SET, sequence(COMMON_NAME, der(UTF8_STRING, text(name)))));
  const names = sequence(der(DNS_NAME, text(name)), der(IP_ADDRESS, [127, 0, 0, 1]));
  // RFC 5280, section 4.1.
  const content = sequence(
    der(VERSION, der(INTEGER, [2])),
    der(INTEGER, [1]),
    signature,
    holder,
    sequence(time(validFrom), time(validTo)),
    holder,
    publicKey.export({ type: "spki", format: "der" }),
    der(EXTENSIONS, sequence(sequence(SUBJECT_ALT_NAME, der(OCTET_STRING, names)))),
  );
  const signed = der(BIT_STRING, [0], sign("sha256", content, privateKey));
  const lines = sequence(content, signature, signed).toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

const COMMON_NAME = der(OBJECT_IDENTIFIER, Buffer.from("550403", "hex"));
const SUBJECT_ALT_NAME = der(OBJECT_IDENTIFIER, Buffer.from("551d11", "hex"));
const ECDSA_WITH_SHA256 = der(OBJECT_IDENTIFIER, Buffer.from("2a8648ce3d040302", "hex"));

/** A value in DER: its tag, its length, its parts. */
function der(tag: number, ...parts: (Uint8Array | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const { length } = content;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return Buffer.from([tag, ...size, ...content]);
}

function sequence(...parts: Uint8Array[]): Buffer {
  return der(SEQUENCE, ...parts);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function time(date: Date): Buffer {
  return der(GENERALIZED_TIME, text(date.toISOString().replace(/[-:T]|\.\d+/g, "")));
}
