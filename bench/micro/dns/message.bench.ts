// SPDX-License-Identifier: Apache-2.0
import { decodeMessage, encodeMessage } from "@meridian/dns";
import { encodeQuery } from "../../load/data/query-file.ts";
import { measureAll } from "../harness.ts";

const query = encodeQuery("www.small.bench.example", {
  address: 0xc0000200,
  length: 24,
  region: 0,
});
const wire = new Uint8Array(query.subarray(2));
const decoded = decodeMessage(wire);

await measureAll({
  "decode a query with ECS": () => decodeMessage(wire),
  ...("question" in decoded ? { "encode it again": () => encodeMessage(decoded) } : {}),
});
