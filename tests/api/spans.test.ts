import {
  type Attributes,
  type Span,
  type SpanOptions,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, deployed, startApi } from '../support/api.ts';
import { granted, worker } from './turns.ts';

let api: Api;
const spans: [name: string, attributes: Attributes][] = [];

/** An SDK that notes what it is told. */
const tracer = {
  startActiveSpan(name: string, { attributes = {} }: SpanOptions, run: (span: Span) => unknown) {
    const noted = { ...attributes };
    spans.push([name, noted]);
    const span = {
      setAttribute: (key: string, value: string) => void (noted[key] = value),
      setStatus() {},
      end() {},
    };
    return run(span as unknown as Span);
  },
};

beforeAll(async () => {
  trace.setGlobalTracerProvider({ getTracer: () => tracer as unknown as Tracer });
  api = await startApi();
});
afterAll(async () => {
  trace.disable();
  await api.close();
});

// a deployment is another process, where no SDK is registered
test.skipIf(deployed)(
  'a message leaves a span for each step of its walk, with ids and counts alone',
  async () => {
    const device = crypto.randomUUID();
    const message = 'What about my invoice?';
    await api.call('POST', '/api/webhooks/web', { device, body: { message } });
    const of = { 'baton.device_id': device };
    expect(spans.splice(0)).toEqual([
      ['baton.accept', { 'baton.channel': 'web', 'baton.lane': 'builtin', 'baton.messages': 1 }],
      ['baton.agent', { 'baton.agent': 'manager', ...of }],
      ['baton.agent', { 'baton.agent': 'billing', ...of }],
      ['baton.commit', { 'baton.replies': 1, 'baton.outcome': 'committed', ...of }],
    ]);
  },
);

test.skipIf(deployed)('so does a turn of a worker elsewhere', async () => {
  const device = crypto.randomUUID();
  const elsewhere = worker(api, device);
  const { turn } = granted(await elsewhere.submit('m1'));
  await elsewhere.answer(turn.token);
  expect(spans.splice(0).map(([name, { 'baton.outcome': outcome }]) => [name, outcome])).toEqual([
    ['baton.accept', undefined],
    ['baton.commit', 'committed'],
  ]);
});
