/**
 * What a certificate says, and whether it can be served: looked at here, so that all platforms
 * refuse the same with the same words. Loaded only where there is TLS.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { TlsOptions } from "../runtime/http/fetch_handler.ts";

/** Older versions have been forbidden since RFC 8996. Bun and Deno know none of those. */
export const TLS_VERSION_MIN = "TLSv1.2";

/** What is to be known of a certificate. */
export interface CertificateFacts {
  /** The hosts that it is for. */
  readonly names: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
}

/**
 * What the certificate says that clients will see.
 *
 * @throws {SyntaxError} if one of the two is not what it should be.
 * @throws {RangeError} if the key is not that of the certificate.
 */
export function checkTls({ cert, key }: TlsOptions): CertificateFacts {
  const certificate = readCertificate(cert);
  if (!certificate.checkPrivateKey(readKey(key))) {
    throw new RangeError(
      "Cannot serve TLS: the key is not that of the certificate (of several, the server's comes first)",
    );
  }
  return {
    names: namesOf(certificate),
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}

function readCertificate(cert: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch (cause) {
    throw new SyntaxError("Cannot serve TLS: the certificate is none in PEM", { cause });
  }
}

function readKey(key: string): KeyObject {
  try {
    return createPrivateKey(key);
  } catch (cause) {
    const isLocked = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(key);
    const why = isLocked ? "has a passphrase; write it without one" : "is no private key in PEM";
    throw new SyntaxError(`Cannot serve TLS: the key ${why}`, { cause });
  }
}

/** `DNS:a.test, IP Address:127.0.0.1`, or without these names the `CN=` of the subject. */
function namesOf({ subjectAltName = "", subject }: X509Certificate): string[] {
  const names = subjectAltName.split(", ").flatMap((entry) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1];
    return name === undefined ? [] : [name];
  });
  const common = /^CN=(.+)$/m.exec(subject)?.[1];
  return names.length > 0 || common === undefined ? names : [common];
}
