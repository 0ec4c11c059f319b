// SPDX-License-Identifier: Apache-2.0

// A move of traffic, or the end of one, as change policies look at it: by the labels of what it moves traffic away from; and a failover that
// goes back, by those of its policy.

import { indexKey, parseTarget, type AccessVerb } from "@meridian/model";
import type { ServedModel } from "../served-model.ts";
import type { Act, ActTarget } from "./act.ts";

/** `content` is all of the wish but its reason. */
export function shiftAct(
  model: ServedModel | undefined,
  verb: AccessVerb,
  targets: readonly string[],
  content: object,
): Act {
  return {
    verb,
    targets: targets.map((name) => shiftTarget(model, verb, name)),
    content: { targets, ...content },
    changes: [content],
  };
}

/** `node` is `NAMESPACE/POLICY/NODE`. */
export function failbackAct(model: ServedModel | undefined, node: string): Act {
  const [namespace = "", policy = ""] = node.split("/");
  const labels = model?.policies.get(indexKey(namespace, policy))?.metadata.labels;
  const about = { kind: "Latch", namespace, ...(labels === undefined ? {} : { labels }) };
  return {
    verb: "failback",
    targets: [{ ...about, verbs: ["failback"], name: node }],
    content: { node },
    changes: [{ node, tier: 1 }],
  };
}

function shiftTarget(model: ServedModel | undefined, verb: AccessVerb, name: string): ActTarget {
  const parsed = parseTarget(name);
  const isSite = parsed === undefined || parsed.kind === "site";
  const labels = isSite
    ? model?.siteChain(parsed?.name ?? "")[0]?.metadata.labels
    : model?.pools.get(
        indexKey(parsed.namespace, parsed.kind === "pool" ? parsed.name : parsed.pool),
      )?.document.metadata.labels;
  return {
    ...{ kind: "Shift", namespace: isSite ? undefined : parsed.namespace, verbs: [verb], name },
    ...(labels === undefined ? {} : { labels }),
  };
}
