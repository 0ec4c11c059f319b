// SPDX-License-Identifier: Apache-2.0

// Every operation of the API, once: the description for programs (openapi.ts), the reference page and docs/reference/api.md are made from it.

/** A parameter of the query, or of the path where the path has it. */
export interface ApiParameter {
  readonly name: string;
  readonly summary: string;
  readonly isRequired?: boolean;
  readonly isNumber?: boolean;
  readonly choices?: readonly string[];
}

export interface ApiOperation {
  readonly method: "get" | "put" | "post" | "delete";
  /** As OpenAPI writes it: `/v1/documents/{kind}`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly query: readonly ApiParameter[];
  /** What the body holds. */
  readonly body?: "document" | "documents" | "object";
  readonly answer: string;
}

const APPLIED =
  "What changed, the revision that holds it, and as `publication` whether the edges serve it: `live` or `pending`.";
const reading: readonly ApiParameter[] = [
  {
    name: "consistency",
    summary: "How new the answer has to be.",
    choices: ["strong", "session", "causal", "bounded", "eventual"],
  },
  { name: "maxStaleness", summary: "For `bounded`: oldest answer, such as `5s`." },
];
const writing: readonly ApiParameter[] = [
  { name: "dryRun", summary: "`true` or `All`: do everything but commit." },
  { name: "reason", summary: "Why, for the audit log." },
  {
    name: "publish",
    summary:
      "To all edges at once, or to a few first, which check it; by what it changes unless given.",
    choices: ["immediate", "progressive"],
  },
  {
    name: "allowShrink",
    summary: "`true`: it may take away more than 30 % of the names or endpoints that are served.",
  },
  {
    name: "breakGlass",
    summary:
      "`true`: now, whatever change policies say, with `reason`; others look at it afterwards.",
  },
  { name: "owner", summary: "Whose the documents are: `api` or `operator:CLUSTER`." },
];
const selecting: readonly ApiParameter[] = [
  { name: "labelSelector", summary: "As in `team=shop,env!=prod,tier in (a,b),!canary`." },
  { name: "fieldSelector", summary: "As in `spec.healthCheck=web,metadata.name!=old`." },
  { name: "limit", summary: "Most documents of one page, at most 1000.", isNumber: true },
  { name: "continue", summary: "From the page before; goes on in its revision." },
  { name: "revision", summary: "State to read or to watch from.", isNumber: true },
  {
    name: "watch",
    summary: "`true`: changes as server-sent events, from `revision` or `Last-Event-ID`.",
  },
];
const list = (path: string, id: string, summary: string): ApiOperation => ({
  method: "get",
  path,
  id,
  summary,
  query: [...selecting, ...reading],
  answer: "A page of documents, all of one revision.",
});
const paging: readonly ApiParameter[] = [
  { name: "limit", summary: "Most rows of one page.", isNumber: true },
  { name: "continue", summary: "From the page before." },
];
const view = (path: string, id: string, summary: string): ApiOperation => ({
  method: "get",
  path,
  id,
  summary,
  query: paging,
  answer: "What is served now.",
});

/** In the order of the reference. */
export const apiOperations: readonly ApiOperation[] = [
  list("/v1/documents", "listAll", "List documents of every kind."),
  list("/v1/documents/{kind}", "listKind", "List documents of a kind."),
  list(
    "/v1/documents/{kind}/{first}",
    "listNamespace",
    "List documents of a namespace, or get one of a kind that belongs to no namespace.",
  ),
  {
    method: "get",
    path: "/v1/documents/{kind}/{first}/{name}",
    id: "get",
    summary: "Get a document.",
    query: [{ name: "revision", summary: "State to read.", isNumber: true }, ...reading],
    answer: "The document.",
  },
  ...(["put", "delete"] as const).flatMap((method) =>
    ["/v1/documents/{kind}/{first}", "/v1/documents/{kind}/{first}/{name}"].map(
      (path, index): ApiOperation => ({
        method,
        path,
        id: `${method}${index === 0 ? "ClusterWide" : ""}`,
        summary:
          method === "put"
            ? "Apply one document."
            : "Delete a document; refused with the list of what names it.",
        query:
          method === "put"
            ? writing
            : [
                ...writing,
                { name: "cascade", summary: "`true`: delete what names it, too." },
                { name: "resourceVersion", summary: "Only if this is its version." },
              ],
        ...(method === "put" ? { body: "document" as const } : {}),
        answer: APPLIED,
      }),
    ),
  ),
  {
    method: "post",
    path: "/v1/apply",
    id: "apply",
    summary: "Apply documents as one change: all of them or none.",
    query: writing,
    body: "documents",
    answer: APPLIED,
  },
  {
    method: "post",
    path: "/v1/diff",
    id: "diffApply",
    summary: "Show what applying documents would change.",
    query: [],
    body: "documents",
    answer: "Differences by document and path.",
  },
  {
    method: "post",
    path: "/v1/plans",
    id: "plan",
    summary: "Show what applying documents, a drain or a switch would do to answers and traffic.",
    query: [
      {
        name: "profile",
        summary: "`NAMESPACE/NAME` of a TrafficProfile; the only one unless given.",
      },
      {
        name: "drain",
        summary: "Targets that would be drained, as in `site/eu,pool/default/web:50`.",
      },
      {
        name: "startsAt",
        summary: "When the drains would begin, RFC 3339; at once unless given.",
      },
      { name: "off", summary: "Routing controls that would be Off, as in `default/shop-eu`." },
      {
        name: "files",
        summary:
          "Absolute paths, one a line, in the place of the files that this server watches, instead of documents; over the local socket alone.",
      },
      {
        name: "allowShrink",
        summary: "`true`: it may take away more than 30 % of the names or endpoints.",
      },
    ],
    body: "documents",
    answer:
      "Differences; names that answer differently and for whom; how load moves, and how fast.",
  },
  {
    method: "get",
    path: "/v1/diff",
    id: "diffRevisions",
    summary: "Show what changed between two revisions.",
    query: [
      { name: "from", summary: "One revision.", isRequired: true, isNumber: true },
      { name: "to", summary: "The other; the newest where left out.", isNumber: true },
      ...reading,
    ],
    answer: "Differences by document and path.",
  },
  {
    method: "get",
    path: "/v1/history",
    id: "history",
    summary: "List changes, newest first.",
    query: [
      { name: "document", summary: "`KIND/NAMESPACE/NAME` or `KIND/NAME`; all where left out." },
      { name: "limit", summary: "How many, at most 1000.", isNumber: true },
      { name: "to", summary: "Newest revision wanted.", isNumber: true },
      ...reading,
    ],
    answer: "Changes with who, what, why and when.",
  },
  {
    method: "post",
    path: "/v1/rollback",
    id: "rollback",
    summary:
      "Make documents what they were at a revision, as a new one; roles, tokens and shifts stay.",
    query: [
      { name: "revision", summary: "Revision to go back to.", isRequired: true, isNumber: true },
      ...writing,
    ],
    answer: APPLIED,
  },
  view("/v1/status", "status", "Version, revision served, problems and conditions."),
  view("/v1/controls", "controls", "Controls of the store, who leads, and how each stands."),
  {
    method: "delete",
    path: "/v1/controls/{name}",
    id: "forgetControl",
    summary: "Take a control that is gone off the list.",
    query: [],
    answer: "Which one.",
  },
  view("/v1/edges", "edges", "Edges and what each serves."),
  {
    method: "get",
    path: "/v1/shards",
    id: "shards",
    summary: "Tenants and zones of Cells, and which edges serve each.",
    query: [{ name: "zone", summary: "That of this zone alone." }, ...paging],
    answer: "Where each is placed now.",
  },
  {
    method: "get",
    path: "/v1/dnssec",
    id: "signedZones",
    summary: "Signed zones: where each key is, and what the parent has to hold.",
    query: [{ name: "zone", summary: "This zone alone." }, ...paging],
    answer: "Keys, DS records and when the signatures of the keys end.",
  },
  {
    method: "get",
    path: "/v1/secondaries",
    id: "secondaryZones",
    summary:
      "Zones of other servers: what of them is here, and how they stand with their primaries.",
    query: paging,
    answer:
      "State, serial and times; when primaries were asked is known to the control that leads.",
  },
  {
    method: "post",
    path: "/v1/dnssec/roll",
    id: "rollKeys",
    summary: "Have keys of a zone followed by new ones, as soon as they may be.",
    query: [
      { name: "zone", summary: "Origin of the zone.", isRequired: true },
      {
        name: "role",
        summary: "Keys of this role; all of them unless given.",
        choices: ["ksk", "zsk", "csk"],
      },
    ],
    answer: "The roles that are rolled.",
  },
  {
    method: "post",
    path: "/v1/dnssec/export",
    id: "exportKeys",
    summary: "All keys of a zone with their private parts in clear; for administrators.",
    query: [{ name: "zone", summary: "Origin of the zone.", isRequired: true }],
    answer: "Pairs of files as BIND, Knot and PowerDNS read them.",
  },
  {
    method: "delete",
    path: "/v1/edges/{name}",
    id: "revokeEdge",
    summary: "Refuse an edge from now on, until it joins with a new token.",
    query: [],
    answer: "Which one.",
  },
  {
    method: "get",
    path: "/v1/publication",
    id: "publication",
    summary: "Show how far a snapshot has come.",
    query: [{ name: "revision", summary: "Snapshot; the newest unless given.", isNumber: true }],
    answer:
      "`live` when every edge heard of in the last 3 s serves it, else `pending`; which edges hold it up, and which are silent.",
  },
  view("/v1/endpoints", "endpoints", "Endpoints with their verdicts."),
  view("/v1/pools", "pools", "Pools with how many members are healthy."),
  view("/v1/sites", "sites", "Sites with what lies in them."),
  view("/v1/policies", "policies", "Policies with their queries."),
  view("/v1/records", "records", "Names bound to policies and pools."),
  view("/v1/health", "health", "Health checks of endpoints."),
  view("/v1/vantages", "vantages", "Vantages and what each says."),
  {
    method: "get",
    path: "/v1/health/history",
    id: "healthHistory",
    summary: "List changes of verdicts, oldest first.",
    query: [
      { name: "endpoint", summary: "Those of endpoints whose key begins so; all where left out." },
      { name: "count", summary: "How many of the newest; 100 where left out.", isNumber: true },
    ],
    answer: "Changes with their reasons.",
  },
  {
    method: "get",
    path: "/v1/policies/counts",
    id: "policyCounts",
    summary: "Count what a policy decided, by node, branch and audience.",
    query: [{ name: "policy", summary: "NAMESPACE/NAME.", isRequired: true }],
    answer: "Counts since the start.",
  },
  {
    method: "get",
    path: "/v1/top/names",
    id: "topNames",
    summary: "List the most asked names.",
    query: [{ name: "count", summary: "How many; 20 where left out.", isNumber: true }],
    answer: "Names with an estimate of their queries.",
  },
  {
    method: "post",
    path: "/v1/edges/invitations",
    id: "edgeInvite",
    summary:
      "Invite an edge or, with `role` as `probe`, a vantage alone, from `{edge, forMs, role?}`; the token is in this answer alone.",
    query: [],
    body: "object",
    answer: "The token, with which an edge of that name may join once.",
  },
  {
    method: "post",
    path: "/v1/replay",
    id: "replay",
    summary: "Ask a line of the query log again, from `{line}`.",
    query: [],
    body: "object",
    answer: "The answer, and whether it is the logged one.",
  },
  {
    method: "post",
    path: "/v1/push",
    id: "push",
    summary: "Tell the verdict of an endpoint that a push check judges.",
    query: [
      { name: "check", summary: "NAMESPACE/NAME of the check.", isRequired: true },
      { name: "endpoint", summary: "Key of the endpoint.", isRequired: true },
      {
        name: "status",
        summary: "What it is.",
        isRequired: true,
        choices: ["healthy", "unhealthy"],
      },
      { name: "reason", summary: "Why." },
    ],
    answer: "Whether it was taken.",
  },
  {
    method: "post",
    path: "/v1/latency",
    id: "latency",
    summary: "Report round-trip times, as CSV.",
    query: [{ name: "dataSet", summary: "Name of the DataSet.", isRequired: true }],
    answer: "How many rows were taken.",
  },
  view("/v1/rollouts", "rollouts", "Rollouts, and how far they are."),
  view("/v1/routing-controls", "routingControls", "Routing controls, and whether they are On."),
  view("/v1/recoveryplans", "recoveryPlans", "Recovery plans, and how their last run stands."),
  view("/v1/recoveryruns", "recoveryRuns", "Runs of recovery plans, by name."),
  {
    method: "get",
    path: "/v1/recoveryreport",
    id: "recoveryReport",
    summary: "What a run came to: recovery time, and what of it was what.",
    query: [
      { name: "namespace", summary: "Where the plan is; `default` unless given." },
      {
        name: "run",
        summary: "Id of the run, or name of the plan for its newest.",
        isRequired: true,
      },
      { name: "page", summary: "`true`: with a page of HTML in `page`." },
    ],
    answer: "The report.",
  },
  view("/v1/shifts", "shifts", "Shifts that are running."),
  view("/v1/drills", "drills", "Drills, their runs and what came of them."),
  {
    method: "post",
    path: "/v1/drills/{namespace}/{name}",
    id: "orderDrill",
    summary: "Have a drill begin or end now, as `order` says: run or cancel; `reason` says why.",
    query: [],
    body: "object",
    answer: "The drill as it is then.",
  },
  view("/v1/approvals", "approvals", "Requests that others approve an act, and what came of them."),
  {
    method: "post",
    path: "/v1/approvals/{id}",
    id: "voteOnApproval",
    summary: "Approve or reject, as `verdict` says, an act of somebody else; `reason` says why.",
    query: [],
    body: "object",
    answer: "The request as it is then.",
  },
  view("/v1/latches", "latches", "Failover nodes that hold a tier."),
  view("/v1/notifications", "notifications", "Notifications with what became of them."),
  {
    method: "get",
    path: "/v1/explain",
    id: "explain",
    summary: "Say what a name is answered, and why.",
    query: [
      { name: "name", summary: "Domain name.", isRequired: true },
      { name: "type", summary: "Record type; A where left out." },
      { name: "client", summary: "Client's address or prefix." },
      { name: "resolver", summary: "Resolver's address." },
      { name: "view", summary: "View whose zones are meant; the resolver's where left out." },
      { name: "at", summary: "A past moment: time, or REVISION[:SEQUENCE]." },
    ],
    answer: "The explanation, with its words in `text`.",
  },
  {
    method: "post",
    path: "/v1/rollouts",
    id: "changeRollout",
    summary:
      "Start, promote, pause, resume or abort (`verb`) a Rollout by `namespace`, `name` and `reason`; `full` skips what is left.",
    query: [],
    body: "object",
    answer: "The rollout as it is then.",
  },
  {
    method: "post",
    path: "/v1/routing-controls",
    id: "setRoutingControls",
    summary:
      "Turn routing controls of one panel On or Off: `states` by name, `reason`, `override` with names of safety rules.",
    query: [],
    body: "object",
    answer: "Names of those that changed, and all that were named as they are now.",
  },
  {
    method: "post",
    path: "/v1/recoveryruns",
    id: "runRecovery",
    summary:
      "Run a recovery plan: `plan`, `namespace`, `reason`, `mode` (`graceful` or `ungraceful`), `since` (when what it recovers from began).",
    query: [],
    body: "object",
    answer: "The report of the run, which has just begun.",
  },
  {
    method: "put",
    path: "/v1/recoveryruns",
    id: "changeRecovery",
    summary:
      "Change a run: `run` (id or plan), `order` (`pause`, `resume`, `skip`, `cancel`, `rollback`, `graceful`, `ungraceful`), `step`.",
    query: [],
    body: "object",
    answer: "The report of the run as it is then.",
  },
  {
    method: "post",
    path: "/v1/recoveryapprovals",
    id: "approveRecovery",
    summary:
      "Answer a step that asks for approval: `run` (id, or name of the plan), `namespace`, `order` (`approve` or `decline`), `step`, `reason`.",
    query: [],
    body: "object",
    answer: "The report of the run as it is then.",
  },
  {
    method: "post",
    path: "/v1/shifts",
    id: "drain",
    summary:
      "Move traffic away from a target for a while; refused with numbers where what remains cannot carry it, unless `force`.",
    query: [],
    body: "object",
    answer: "The shift and what it reaches.",
  },
  {
    method: "put",
    path: "/v1/shifts",
    id: "extendShifts",
    summary: "Have the shifts of `target`, or one by id, last for `expiresIn` from now.",
    query: [],
    body: "object",
    answer: "The shifts as they are then.",
  },
  {
    method: "delete",
    path: "/v1/shifts",
    id: "undrain",
    summary: "End shifts.",
    query: [
      { name: "target", summary: "Target or id.", isRequired: true },
      { name: "now", summary: "`true`: all traffic comes back at once, whatever the shift says." },
      { name: "reason", summary: "Why, for those who approve." },
      { name: "force", summary: "`true`: also where what it leaves cannot carry the load." },
      { name: "breakGlass", summary: "`true`: now, whatever change policies say, with `reason`." },
    ],
    answer: "The shifts that ended.",
  },
  {
    method: "post",
    path: "/v1/failback",
    id: "failback",
    summary: "Let a failover node go back to its best tier.",
    query: [
      { name: "node", summary: "NAMESPACE/POLICY/NODE.", isRequired: true },
      { name: "reason", summary: "Why, for those who approve." },
      { name: "breakGlass", summary: "`true`: now, whatever change policies say, with `reason`." },
    ],
    answer: "The node.",
  },
  {
    method: "post",
    path: "/v1/reload",
    id: "reload",
    summary: "Read the files anew.",
    query: [],
    answer: "Whether something changed, and every problem.",
  },
  {
    method: "get",
    path: "/v1/audit",
    id: "audit",
    summary: "List every write, newest first: who, what, why, before and after.",
    query: [
      { name: "limit", summary: "How many, at most 1000.", isNumber: true },
      { name: "to", summary: "Newest revision wanted.", isNumber: true },
      { name: "texts", summary: "`true`: with the documents before and after." },
    ],
    answer: "Writes with their place in the hash chain.",
  },
  {
    method: "get",
    path: "/v1/audit/verify",
    id: "auditVerify",
    summary: "Walk the hash chains of writes and refusals.",
    query: [],
    answer: "Whether all is well, and every problem.",
  },
  {
    method: "get",
    path: "/v1/audit/refusals",
    id: "auditRefusals",
    summary: "List refused requests, oldest first.",
    query: [],
    answer: "Refusals with their place in the hash chain.",
  },
  {
    method: "get",
    path: "/v1/tokens",
    id: "tokens",
    summary: "List tokens, without their secrets.",
    query: [],
    answer: "Tokens.",
  },
  {
    method: "post",
    path: "/v1/tokens",
    id: "tokenCreate",
    summary:
      "Make a token from `{subject, roles, expiresIn?}`; its secret is in this answer alone.",
    query: [],
    body: "object",
    answer: "The token.",
  },
  {
    method: "delete",
    path: "/v1/tokens/{name}",
    id: "tokenRevoke",
    summary: "Revoke a token at once.",
    query: [],
    answer: "The token's name.",
  },
  {
    method: "get",
    path: "/v1/whoami",
    id: "whoami",
    summary: "Say who asks.",
    query: [],
    answer: "Subject and token.",
  },
];
