import { context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Span, SpanOptions, Tracer } from '@opentelemetry/api';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inSpan } from '../../lib/spans.ts';

interface Recorded {
  name: string;
  attributes: Attributes;
  status: string | undefined;
  ended: boolean;
}

const spans: Recorded[] = [];

/** An SDK that notes what it is told. */
const tracer = {
  startActiveSpan(name: string, { attributes = {} }: SpanOptions, run: (span: Span) => unknown) {
    const recorded: Recorded = {
      name,
      attributes: { ...attributes },
      status: undefined,
      ended: false,
    };
    spans.push(recorded);
    const span = {
      setAttribute(key: string, value: string) {
        recorded.attributes[key] = value;
      },
      setStatus({ code, message }: { code: SpanStatusCode; message?: string }) {
        if (code === SpanStatusCode.ERROR) recorded.status = message;
      },
      end() {
        recorded.ended = true;
      },
    };
    return run(span as unknown as Span);
  },
};

it('spans are nothing where no SDK is registered', async () => {
  expect(await inSpan('send', {}, (span) => Promise.resolve(span.isRecording()))).toBe(false);
  expect(context.active()).toBe(ROOT_CONTEXT);
});

describe('with an SDK, also one that comes later, the span of a step', () => {
  beforeAll(() => {
    trace.setGlobalTracerProvider({ getTracer: () => tracer as unknown as Tracer });
  });
  beforeEach(() => {
    spans.length = 0;
  });

  it('has its attributes, and ends with it', async () => {
    const result = await inSpan('commit', { 'baton.replies': 2 }, (span) => {
      span.setAttribute('baton.outcome', 'committed');
      return Promise.resolve('done');
    });
    expect(result).toBe('done');
    expect(spans).toEqual([
      {
        name: 'baton.commit',
        attributes: { 'baton.replies': 2, 'baton.outcome': 'committed' },
        status: undefined,
        ended: true,
      },
    ]);
  });

  it('says of an error its name, never its words', async () => {
    const failing = inSpan('agent', {}, () => Promise.reject(new TypeError('what somebody wrote')));
    await expect(failing).rejects.toThrow('what somebody wrote');
    expect(spans).toMatchObject([{ status: 'TypeError', ended: true }]);
    expect(JSON.stringify(spans)).not.toContain('wrote');
  });
});
