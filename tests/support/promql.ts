import { parser } from '@prometheus-io/lezer-promql';

// Which series an expression of PromQL is about, without their values: enough to see that what it asks for is there,
// and that an operator can ever find two series that belong together.

/** The labels of a series; its name is `__name__`, as Prometheus has it. */
export type Series = Readonly<Record<string, string>>;

type Node = ReturnType<typeof parser.parse>['topNode'];

/** An expression with what is exposed. */
interface Asked {
  text: string;
  exposed: readonly Series[];
}

/** The series of a text as `/api/metrics` answers it. */
export function seriesIn(text: string): Series[] {
  return [...text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)].map(([, name = '', labels = '']) => ({
    __name__: name,
    ...Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, ...pair]) => pair)),
  }));
}

/**
 * The series that an expression gives where every comparison in it holds; null: a number.
 *
 * @throws {Error} what is no PromQL, what is not exposed, what no series can meet, and what is not known here
 */
export function seriesOf(text: string, exposed: readonly Series[]): readonly Series[] | null {
  const [whole, ...more] = childrenOf(parser.parse(text).topNode);
  if (whole === undefined || more.length > 0) throw new Error(`No PromQL: ${text}`);
  return evaluate(whole, { text, exposed });
}

function evaluate(node: Node, asked: Asked): readonly Series[] | null {
  const [first, second] = childrenOf(node);
  switch (node.name) {
    case 'VectorSelector':
      return select(node, asked);
    case 'NumberDurationLiteral':
      return null;
    case 'MatrixSelector':
    case 'OffsetExpr':
    case 'ParenExpr':
      if (first !== undefined) return evaluate(first, asked);
      break;
    case 'FunctionCall': {
      const of = second && childrenOf(second)[0];
      return of === undefined ? null : (evaluate(of, asked)?.map(unnamed) ?? null);
    }
    case 'AggregateExpr': {
      // over everything: `by` and `without` are used nowhere
      const of = second?.name === 'FunctionCallBody' && childrenOf(second)[0];
      if (of) return evaluate(of, asked) && [{}];
      break;
    }
    case 'BinaryExpr':
      return combine(node, asked);
  }
  throw new Error(`Not known here: ${node.name} in ${asked.text}`);
}

/** What is exposed under a name and meets every matcher; each value that a matcher names must be there. */
function select(node: Node, { text, exposed }: Asked): Series[] {
  const [name, matchers] = childrenOf(node).map((child) => text.slice(child.from, child.to));
  let found = exposed.filter((series) => series['__name__'] === name);
  if (found.length === 0) throw new Error(`Not exposed: ${name} in ${text}`);
  for (const matcher of (matchers ?? '').matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
    const [all, label = '', operator, value = ''] = matcher;
    const values = operator === '=' ? [value] : value.split('|');
    for (const each of values)
      if (found.every((series) => series[label] !== each))
        throw new Error(`Not exposed: ${each} of ${all} in ${text}`);
    found = found.filter((series) => values.includes(series[label] ?? ''));
  }
  return found;
}

/** As Prometheus does: two series belong together when all labels agree, or those of `on`, or all but `ignoring`. */
function combine(node: Node, asked: Asked): readonly Series[] | null {
  const children = childrenOf(node);
  const [left, right] = [children[0], children.at(-1)].map((side) => side && evaluate(side, asked));
  if (left === undefined || right === undefined || left === null || right === null)
    return left ?? right ?? null;
  const operator = children[1]?.name;
  if (operator === 'Or') return [...left, ...right];
  const modifier = children.find(({ name }) => name === 'MatchingModifierClause');
  const [kind, labels] = modifier === undefined ? [] : childrenOf(modifier);
  const named = labels && asked.text.slice(labels.from, labels.to).match(/\w+/g);
  const keyOf = (series: Series) =>
    JSON.stringify(
      Object.entries(unnamed(series))
        .filter(([label]) => !named || named.includes(label) === (kind?.name === 'On'))
        .toSorted(),
    );
  const keys = new Set(right.map(keyOf));
  const met = left.filter((series) => keys.has(keyOf(series)));
  if (met.length === 0) throw new Error(`No two series meet at ${operator} in ${asked.text}`);
  return operator === 'Unless' ? left : met;
}

const unnamed = ({ __name__: _name, ...labels }: Series): Series => labels;

function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.type.isError) throw new Error('No PromQL');
    children.push(child);
  }
  return children;
}
