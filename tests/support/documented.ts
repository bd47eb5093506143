import { z } from 'zod';
import { answers } from '../../dev/openapi/answers.ts';
import { type Documented, documented } from '../../dev/openapi/document.ts';
import { refusalsOf } from '../../dev/openapi/operation.ts';
import { BatonError } from '../../lib/errors.ts';
import { problem } from '../../lib/http/problem.ts';

/** An answer, as far as the document says something of it. */
interface Told {
  status: number;
  headers: Headers;
  text: string;
}

const operations = documented().map((operation) => {
  const [path = '', query] = operation.path.split('?');
  return {
    ...operation,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
    query: [...new URLSearchParams(query)],
  };
});

/**
 * The operation that a request is for; none: the path or the method is not there.
 *
 * @public
 */
export function operationOf(method: string, url: string): Documented | undefined {
  const { pathname, searchParams } = new URL(url, 'https://baton.example');
  const meant = operations.filter(({ pattern }) => pattern.test(pathname));
  const rows = meant.filter(({ query }) =>
    query.every(([name, value]) => searchParams.get(name) === value),
  );
  const most = Math.max(...rows.map(({ query }) => query.length));
  return rows.find((row) => row.query.length === most && row.method === method);
}

/**
 * Sees that the OpenAPI document knows of an answer: its status, its media type, every field of it and of a refusal
 * the code.
 *
 * @throws {Error} that says what the document lacks
 */
export function assertDocumented(method: string, url: string, told: Told): void {
  const operation = operationOf(method, url);
  const lacks = (what: string) => {
    throw new Error(
      `the document does not know of ${what}: ${method} ${url.split('?')[0]} ${told.status} ${told.text.slice(0, 300)}`,
    );
  };
  const type = told.headers.get('content-type');
  // they say nothing that GET and the others do not
  if (method === 'HEAD' || method === 'OPTIONS') return;
  if (type === 'application/problem+json') {
    const { code, status } = readProblem(told);
    const known =
      operation === undefined
        ? ['not_found', 'method_not_allowed']
        : refusalsOf(operation.access, operation.doc);
    if (status !== told.status || !known.some((each) => each === code)) lacks(`the code ${code}`);
    return;
  }
  const answer = operation?.doc.answers[told.status];
  if (answer === undefined) return lacks('this answer');
  if (answer.text?.includes(type ?? '') === true) return;
  if (answer.json === undefined) return told.text === '' ? undefined : lacks('a body');
  if (type !== 'application/json') return lacks(`the type ${type}`);
  const body: unknown = JSON.parse(told.text);
  const wrong = answer.json.map((name) => answers[name].safeParse(body)).map(({ error }) => error);
  if (wrong.every((error) => error !== undefined)) {
    lacks(wrong.map((error) => z.prettifyError(error)).join('\n'));
  }
}

function readProblem({ text }: Told): { code: string; status: number } {
  const body = answers.Problem.parse(JSON.parse(text));
  const { status: meant } = problem(new BatonError(body.code as BatonError['code'], ''));
  return { code: body.code, status: meant };
}
