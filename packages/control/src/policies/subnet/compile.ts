// SPDX-License-Identifier: Apache-2.0
import { type ClassifierDraft, ClassNumbers, parsePrefix } from "@meridian/snapshot/writer";

/** A branch of a subnet node. */
export interface SubnetBranch {
  /** Texts with the network address, such as `192.0.2.0/24`; checked by the model. */
  readonly prefixes?: readonly string[] | undefined;
  readonly default?: boolean | undefined;
}

/**
 * Classes of a subnet node: the branch of the longest stored prefix that contains the client's, then the default. A stored prefix longer
 * than the client's does not match (Route 53's IP-based routing). No match and no default: an empty class.
 */
export function compileSubnet(branches: readonly SubnetBranch[]): ClassifierDraft {
  const numbers = new ClassNumbers();
  const fallback = branches.flatMap((branch, index) => (branch.default === true ? [index] : []));
  const rest = fallback.slice(0, 1);
  const defaultClass = numbers.of(rest);
  const prefixes = branches.flatMap((branch, index) =>
    (branch.prefixes ?? []).flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix === undefined ? [] : [{ prefix, cls: numbers.of([index, ...rest]) }];
    }),
  );
  return { orders: numbers.orders, defaultClass, prefixes, isExactPrefix: true };
}
