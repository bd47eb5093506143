import { isHandler } from '@vercel/routing-utils';
import type { Route, RouteWithSrc } from '@vercel/routing-utils';

/** Where a request leads. */
export type Target =
  /** `search`: the query that routes add to the caller's own, such as `id=7`. */
  | { kind: 'function'; file: string; search: string }
  | { kind: 'file'; file: string; status: number }
  | { kind: 'redirect'; location: string; status: number }
  | { kind: 'nothing'; status: number };

/** A target, and the headers that the project's settings give to an answer that lacks them. */
export type Match = { target: Target; headers: Readonly<Record<string, string>> };

export type Router = (method: string, pathname: string) => Match;

/** What a path serves: functions under their path without extension, files under their own. */
export type Outputs = ReadonlyMap<string, Target>;

type Rule = RouteWithSrc & { pattern: RegExp };
type Walk = {
  method: string;
  path: string;
  search: URLSearchParams;
  headers: Record<string, string>;
};

/**
 * Follows a route table in Vercel's order: the routes before any phase, the outputs, then the rewrites,
 * each of which looks at the outputs again; at last the error pages.
 */
export function createMatcher(routes: readonly Route[], outputs: Outputs): Router {
  const phases = splitPhases(routes);
  const rulesOf = (phase: string) => phases.get(phase) ?? [];

  const find = (path: string): Target | undefined => {
    const direct = outputs.get(path) ?? outputs.get(decode(path));
    if (direct !== undefined) return direct;
    for (const rule of rulesOf('miss')) {
      const captured = rule.pattern.exec(path);
      const target = captured && outputs.get(fill(rule.dest ?? '', captured));
      if (target) return target;
    }
    return undefined;
  };

  return (method, pathname) => {
    const walk: Walk = { method, path: pathname, search: new URLSearchParams(), headers: {} };
    const target = follow(rulesOf('start'), walk, find) ??
      find(walk.path) ??
      follow(rulesOf('filesystem'), walk, find) ??
      follow(rulesOf('rewrite'), walk, find) ?? { kind: 'nothing', status: 404 };
    if (target.kind === 'function') {
      return { target: { ...target, search: walk.search.toString() }, headers: walk.headers };
    }
    if (target.kind !== 'nothing') return { target, headers: walk.headers };
    const page = follow(rulesOf('error'), { ...walk, path: pathname }, find);
    const answer: Target = page?.kind === 'file' ? { ...page, status: target.status } : target;
    return { target: answer, headers: walk.headers };
  };
}

function splitPhases(routes: readonly Route[]): Map<string, Rule[]> {
  const phases = new Map<string, Rule[]>();
  let phase = 'start';
  for (const route of routes) {
    if (isHandler(route)) {
      phase = route.handle;
      continue;
    }
    const pattern = new RegExp(route.src, route.caseSensitive === true ? '' : 'i');
    phases.set(phase, [...(phases.get(phase) ?? []), { ...route, pattern }]);
  }
  return phases;
}

function follow(
  rules: readonly Rule[],
  walk: Walk,
  find: (path: string) => Target | undefined,
): Target | undefined {
  for (const rule of rules) {
    const captured = rule.pattern.exec(walk.path);
    if (!captured || rule.methods?.includes(walk.method) === false) continue;

    for (const [name, value] of Object.entries(rule.headers ?? {})) {
      walk.headers[name] = fill(value, captured);
    }
    const location = walk.headers['Location'];
    if (location !== undefined) {
      delete walk.headers['Location'];
      return { kind: 'redirect', location, status: rule.status ?? 308 };
    }
    if (rule.dest !== undefined) {
      rewrite(walk, rule.dest, captured);
      const target = find(walk.path);
      if (target) return target;
    } else if (rule.status !== undefined && rule.continue !== true) {
      return { kind: 'nothing', status: rule.status };
    }
  }
  return undefined;
}

function rewrite(walk: Walk, destination: string, captured: RegExpExecArray): void {
  const [path = '', query] = destination.split('?', 2);
  walk.path = fill(path, captured);
  for (const [name, value] of new URLSearchParams(query)) {
    walk.search.append(name, decode(fill(value, captured)));
  }
}

/** Puts what the pattern captured in place of `$1` and `$name`. */
function fill(template: string, captured: RegExpExecArray): string {
  return template.replaceAll(
    /\$(\d+|[a-z_]\w*)/gi,
    (_, key: string) => captured[Number(key)] ?? captured.groups?.[key] ?? '',
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
