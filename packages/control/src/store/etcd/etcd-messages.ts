// SPDX-License-Identifier: Apache-2.0

// The messages of etcd's gRPC interface (versions 3.4 and later) that the store uses, with the numbers that go over the wire. 64-bit numbers are text,
// since etcd's lease ids do not fit a number.

import { assert } from "@meridian/core";
import { fromJSON } from "@grpc/proto-loader";

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface RangeResponse {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: string;
}

export interface PutRequest {
  readonly key: Buffer;
  readonly value?: Buffer;
  /** The key goes with this lease; none takes it off its lease. */
  readonly lease?: string;
  /** Keep the value; an error where there is none. */
  readonly ignoreValue?: boolean;
}

export interface DeleteRangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
}

export interface RequestOp {
  readonly requestRange?: RangeRequest;
  readonly requestPut?: PutRequest;
  readonly requestDeleteRange?: DeleteRangeRequest;
}

/** Always compared for equality. */
export interface Compare {
  readonly key: Buffer;
  readonly target: (typeof CompareTarget)[keyof typeof CompareTarget];
  /** 0: there is no such key. */
  readonly createRevision?: string;
  readonly value?: Buffer;
}

export const CompareTarget = { createRevision: 1, value: 3 } as const;

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

interface ResponseHeader {
  readonly revision: string;
}

export interface TxnResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange: RangeResponse | null }[];
}

export interface WatchRequest {
  readonly createRequest?: {
    readonly key: Buffer;
    readonly rangeEnd: Buffer;
    readonly progressNotify: boolean;
  };
}

export interface WatchResponse {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancelReason: string;
  readonly events: readonly { readonly type: number; readonly kv: KeyValue | null }[];
}

export interface LeaseResponse {
  readonly id: string;
  /** Seconds; 0 where the lease is over. */
  readonly ttl: string;
}

/** How a method is called: its path, and how its messages become bytes and back. */
export interface EtcdMethod<Request, Response> {
  readonly path: string;
  readonly serialize: (request: Request) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
}

/** A field as `TYPE NUMBER`, with `repeated` before it where it is a list. */
type Fields = Readonly<Record<string, string>>;

const messages: Readonly<Record<string, Fields>> = {
  ResponseHeader: { revision: "int64 3" },
  KeyValue: { key: "bytes 1", createRevision: "int64 2", value: "bytes 5" },
  RangeRequest: {
    key: "bytes 1",
    rangeEnd: "bytes 2",
    limit: "int64 3",
    keysOnly: "bool 8",
    countOnly: "bool 9",
  },
  RangeResponse: { kvs: "repeated KeyValue 2", more: "bool 3", count: "int64 4" },
  PutRequest: { key: "bytes 1", value: "bytes 2", lease: "int64 3", ignoreValue: "bool 5" },
  DeleteRangeRequest: { key: "bytes 1", rangeEnd: "bytes 2" },
  RequestOp: {
    requestRange: "RangeRequest 1",
    requestPut: "PutRequest 2",
    requestDeleteRange: "DeleteRangeRequest 3",
  },
  ResponseOp: { responseRange: "RangeResponse 1" },
  Compare: {
    result: "int32 1",
    target: "int32 2",
    key: "bytes 3",
    createRevision: "int64 5",
    value: "bytes 7",
  },
  TxnRequest: {
    compare: "repeated Compare 1",
    success: "repeated RequestOp 2",
    failure: "repeated RequestOp 3",
  },
  TxnResponse: {
    header: "ResponseHeader 1",
    succeeded: "bool 2",
    responses: "repeated ResponseOp 3",
  },
  WatchCreateRequest: { key: "bytes 1", rangeEnd: "bytes 2", progressNotify: "bool 4" },
  WatchRequest: { createRequest: "WatchCreateRequest 1" },
  Event: { type: "int32 1", kv: "KeyValue 2" },
  WatchResponse: {
    created: "bool 3",
    canceled: "bool 4",
    cancelReason: "string 6",
    events: "repeated Event 11",
  },
  LeaseGrantRequest: { ttl: "int64 1" },
  LeaseRequest: { id: "int64 1" },
  LeaseResponse: { id: "int64 2", ttl: "int64 3" },
  AuthenticateRequest: { name: "string 1", password: "string 2" },
  AuthenticateResponse: { token: "string 2" },
  Empty: {},
  StatusResponse: { version: "string 2" },
};

const services: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {
  KV: {
    Range: ["RangeRequest", "RangeResponse"],
    Put: ["PutRequest", "Empty"],
    DeleteRange: ["DeleteRangeRequest", "Empty"],
    Txn: ["TxnRequest", "TxnResponse"],
  },
  Watch: { Watch: ["WatchRequest", "WatchResponse"] },
  Lease: {
    LeaseGrant: ["LeaseGrantRequest", "LeaseResponse"],
    LeaseRevoke: ["LeaseRequest", "Empty"],
    LeaseKeepAlive: ["LeaseRequest", "LeaseResponse"],
  },
  Auth: { Authenticate: ["AuthenticateRequest", "AuthenticateResponse"] },
  Maintenance: { Status: ["Empty", "StatusResponse"] },
};

const definitions = fromJSON(
  {
    nested: {
      etcdserverpb: {
        nested: {
          ...mapValues(messages, (fields) => ({ fields: mapValues(fields, fieldOf) })),
          ...mapValues(services, (methods) => ({
            methods: mapValues(methods, ([requestType, responseType]) => ({
              requestType,
              responseType,
              comment: "",
            })),
          })),
        },
      },
    },
  },
  { longs: String, defaults: true, arrays: true, keepCase: true },
);

export const etcdMethods: {
  readonly range: EtcdMethod<RangeRequest, RangeResponse>;
  readonly put: EtcdMethod<PutRequest, object>;
  readonly deleteRange: EtcdMethod<DeleteRangeRequest, object>;
  readonly txn: EtcdMethod<TxnRequest, TxnResponse>;
  readonly watch: EtcdMethod<WatchRequest, WatchResponse>;
  readonly leaseGrant: EtcdMethod<{ readonly ttl: number }, LeaseResponse>;
  readonly leaseRevoke: EtcdMethod<{ readonly id: string }, object>;
  readonly leaseKeepAlive: EtcdMethod<{ readonly id: string }, LeaseResponse>;
  readonly authenticate: EtcdMethod<
    { readonly name: string; readonly password: string },
    { readonly token: string }
  >;
  readonly status: EtcdMethod<object, { readonly version: string }>;
} = {
  range: method("KV", "Range"),
  put: method("KV", "Put"),
  deleteRange: method("KV", "DeleteRange"),
  txn: method("KV", "Txn"),
  watch: method("Watch", "Watch"),
  leaseGrant: method("Lease", "LeaseGrant"),
  leaseRevoke: method("Lease", "LeaseRevoke"),
  leaseKeepAlive: method("Lease", "LeaseKeepAlive"),
  authenticate: method("Auth", "Authenticate"),
  status: method("Maintenance", "Status"),
};

function method<Request extends object, Response>(
  service: string,
  name: string,
): EtcdMethod<Request, Response> {
  const definition = definitions[`etcdserverpb.${service}`];
  assert(definition !== undefined && !("format" in definition), "The service is described above");
  const found = definition[name];
  assert(found !== undefined, "The method is described above");
  return {
    path: found.path,
    serialize: (request) => found.requestSerialize(request),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- decoded by the description above, with every field set
    deserialize: (bytes) => found.responseDeserialize(bytes) as Response,
  };
}

function fieldOf(text: string): { type: string; id: number; rule?: string } {
  const words = text.split(" ");
  const [type = "", id = ""] = words.slice(-2);
  return { type, id: Number(id), ...(words.length === 3 ? { rule: "repeated" } : {}) };
}

function mapValues<Value, Mapped>(
  values: Readonly<Record<string, Value>>,
  map: (value: Value) => Mapped,
): Record<string, Mapped> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}
