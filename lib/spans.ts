import { type Attributes, type Span, SpanStatusCode, trace } from '@opentelemetry/api';

/** Whoever deploys registers an SDK, before or after this is loaded; where nobody does, a span is nothing at all. */
const tracer = trace.getTracer('baton');

/** The steps that have a span. */
export type Step = 'accept' | 'agent' | 'commit' | 'send';

/**
 * Runs a step of a message's walk as a span of its own.
 *
 * @param attributes ids, names and counts; never what somebody wrote
 */
export async function inSpan<T>(
  step: Step,
  attributes: Attributes,
  run: (span: Span) => Promise<T>,
): Promise<T> {
  return tracer.startActiveSpan(`baton.${step}`, { attributes }, async (span) => {
    try {
      return await run(span);
    } catch (error) {
      // its name: the message may hold what the user wrote
      const message = error instanceof Error ? error.name : 'error';
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      throw error;
    } finally {
      span.end();
    }
  });
}
