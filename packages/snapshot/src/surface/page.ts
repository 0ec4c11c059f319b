// SPDX-License-Identifier: Apache-2.0

// Pages of a long list, as Kubernetes has them: `limit` items, and a token to continue from. Nothing is kept between two pages: the token
// names the last item and where it stood, so a list that changes meanwhile goes on behind that item, wherever it is by then.

/** Items of a page unless the request says. */
export const PAGE_ITEMS_DEFAULT = 500;
export const PAGE_ITEMS_MAX = 10_000;
const TOKEN_CHARACTERS_MAX = 1024;

/** Which page is asked for. Plain data: it travels to the compiler. */
export interface PageRequest {
  /** 1 to PAGE_ITEMS_MAX. */
  readonly limit: number;
  /** The last item of the page before, and its place counted from 1. */
  readonly after?: { readonly key: string; readonly place: number };
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page starts; absent on the last one. */
  readonly continue?: string;
}

/** Reads `limit` and `continue` of a query string; a text says what is wrong. */
export function parsePageRequest(query: Readonly<Record<string, string>>): PageRequest | string {
  const text = query["limit"];
  const limit = text === undefined ? PAGE_ITEMS_DEFAULT : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ITEMS_MAX)
    return `Limit is "${text ?? ""}", expected a whole number from 1 to ${PAGE_ITEMS_MAX}`;
  const token = query["continue"];
  if (token === undefined || token === "") return { limit };
  const after = parseToken(token);
  return after === undefined
    ? `Continue is "${token.slice(0, 40)}", expected what the page before gave`
    : { limit, after };
}

/** One page of `items`, whose keys are unique and whose order is stable; only what is on the page is made into a view. */
export function pageOf<Item, View>(
  items: Iterable<Item>,
  request: PageRequest,
  keyOf: (item: Item) => string,
  viewOf: (item: Item) => View,
): Page<View> {
  const start = startOf(items, request, keyOf);
  const views: View[] = [];
  let place = 0;
  let last = "";
  for (const item of items) {
    place += 1;
    if (place <= start) continue;
    if (views.length === request.limit)
      return { items: views, continue: formatToken(last, place - 1) };
    views.push(viewOf(item));
    last = keyOf(item);
  }
  return { items: views };
}

/** How many items come before the page: those up to the last one seen, or as many as were seen where that one is gone. */
function startOf<Item>(
  items: Iterable<Item>,
  { after }: PageRequest,
  keyOf: (item: Item) => string,
): number {
  if (after === undefined) return 0;
  let place = 0;
  for (const item of items) {
    place += 1;
    if (keyOf(item) === after.key) return place;
  }
  return after.place;
}

function formatToken(key: string, place: number): string {
  return Buffer.from(`${place} ${key}`).toString("base64url");
}

function parseToken(token: string): PageRequest["after"] {
  if (token.length > TOKEN_CHARACTERS_MAX) return undefined;
  const match = /^([0-9]{1,10}) (.*)$/s.exec(Buffer.from(token, "base64url").toString());
  return match?.[2] === undefined ? undefined : { key: match[2], place: Number(match[1]) };
}
