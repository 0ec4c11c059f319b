// SPDX-License-Identifier: Apache-2.0

// Certificates for tests, made by the `openssl` program: an authority, and leaves that are good, expired, soon to expire or for another name.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing } from "./missing.ts";

/** A leaf certificate with its key (PEM). */
export interface Leaf {
  readonly cert: string;
  readonly key: string;
}

/** One authority and the leaves it signed, all for `svc.example.org` unless their name says otherwise. */
export interface TestCertificates {
  readonly caPem: string;
  readonly good: Leaf;
  readonly expired: Leaf;
  readonly notYet: Leaf;
  readonly otherName: Leaf;
  /** Valid for five days. */
  readonly shortLived: Leaf;
}

// `openssl ca` is the one command that sets both dates in every version.
const authorityConfig = `[ca]
default_ca = authority
[authority]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = anything
unique_subject = no
[anything]
commonName = supplied
`;

/** Why certificates cannot be made here, or false; for the `skip` option of a test. */
export const opensslMissing: false | string =
  spawnSync("openssl", ["version"]).status === 0
    ? false
    : missing("openssl is not installed; apt-get install openssl");

/** Makes them; about half a second. */
export function makeCertificates(): TestCertificates {
  const folder = mkdtempSync(join(tmpdir(), "meridian-certificates-"));
  try {
    const openssl = (...args: string[]): void => {
      execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
    };
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
      ...["req", "-x509", ...curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650"],
      ...["-subj", "/CN=Test authority"],
    );
    writeFileSync(join(folder, "index.txt"), "");
    writeFileSync(join(folder, "serial"), "1000\n");
    writeFileSync(join(folder, "ca.cnf"), authorityConfig);
    const leaf = (name: string, host: string, notBefore: string, notAfter: string): Leaf => {
      writeFileSync(
        join(folder, `${name}.ext`),
        `subjectAltName=DNS:${host}\nbasicConstraints=CA:FALSE\n`,
      );
      openssl(
        "req",
        "-new",
        ...curve,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.csr`,
        ...["-subj", `/CN=${host}`],
      );
      openssl(
        ...["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", `${name}.csr`],
        ...["-out", `${name}.pem`, "-extfile", `${name}.ext`],
        ...["-startdate", notBefore, "-enddate", notAfter],
      );
      return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
    };
    const read = (file: string): string => readFileSync(join(folder, file), "latin1");
    const service = "svc.example.org";
    return {
      caPem: read("ca.pem"),
      good: leaf("good", service, stamp(-2), stamp(90)),
      expired: leaf("expired", service, "20200101000000Z", "20210315000000Z"),
      notYet: leaf("not-yet", service, "20900101000000Z", "20910101000000Z"),
      otherName: leaf("other", "other.example.org", stamp(-2), stamp(90)),
      shortLived: leaf("short", service, stamp(-2), stamp(5)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `YYYYMMDDHHMMSSZ`, some days from now. */
function stamp(days: number): string {
  const iso = new Date(Date.now() + days * 86_400_000).toISOString();
  return `${iso.slice(0, 19).replace(/[-T:]/g, "")}Z`;
}
