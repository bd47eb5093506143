import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import {
  describeError,
  log,
  type LogEvent,
  type LogLevel,
  logPrintedReply,
  setLogLevel,
  setSink,
} from '../../lib/log.ts';

const levels = ['debug', 'info', 'warn', 'error'] as const;

describe('log', () => {
  // before any test sets a sink of its own: there is no way back to this one
  it('writes one line of JSON per event to standard output, and shows no text there', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      log('warn', 'something', { device_id: 'd', count: 2, note: 'a\nb' });
      logPrintedReply({ reply_id: '7' }, 'your number is 12025550101');
      const lines = write.mock.calls.map(([line]) => String(line));
      expect(lines).toHaveLength(2);
      for (const line of lines) expect(line).toMatch(/^[^\n]+\n$/);
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
        {
          level: 'warn',
          event: 'something',
          time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/) as string,
          device_id: 'd',
          count: 2,
          note: 'a\nb',
        },
        {
          level: 'info',
          event: 'reply_printed',
          time: expect.any(String) as string,
          reply_id: '7',
        },
      ]);
    } finally {
      write.mockRestore();
    }
  });
});

describe('a line', () => {
  it('holds nothing that a terminal acts on, and is read back as it was', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      const every = fc.string({ unit: 'binary', maxLength: 30 });
      fc.assert(
        fc.property(every, every, (key, value) => {
          write.mockClear();
          log('info', 'something', { [`k${key}`]: value });
          const line = String(write.mock.calls[0]?.[0]).slice(0, -1);
          // oxlint-disable-next-line no-control-regex -- they are what must not be there
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
          expect(JSON.parse(line)).toMatchObject({ [`k${key}`]: value });
        }),
      );
      log('info', 'something', { a: '\u001b[2J\u009b2J\r\n{"level":"error"}\u2028\u202e' });
      expect(write.mock.calls.at(-1)?.[0]).toContain(
        String.raw`"\u001b[2J\u009b2J\r\n{\"level\":\"error\"}\u2028\u202e"`,
      );
    } finally {
      write.mockRestore();
    }
  });
});

describe('with a sink', () => {
  const events: LogEvent[] = [];

  beforeEach(() => {
    events.length = 0;
    setSink((event) => events.push(event));
  });

  afterEach(() => setLogLevel('info'));

  it.each<[LogLevel, LogLevel[]]>([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ])('level %s lets through %j', (level, expected) => {
    setLogLevel(level);
    for (const each of levels) log(each, 'event');
    expect(events.map((event) => event.level)).toEqual(expected);
  });

  it('gives the sink the event with its fields and its time', () => {
    log('error', 'broken', { code: 'x' });
    expect(events).toEqual([
      { level: 'error', event: 'broken', time: expect.any(String) as string, code: 'x' },
    ]);
  });

  it('tells the text of a printed reply only where the sink shows texts', () => {
    logPrintedReply({ reply_id: '1' }, 'secret words');
    expect(events).toEqual([
      { level: 'info', event: 'reply_printed', time: expect.any(String) as string, reply_id: '1' },
    ]);

    setSink((event) => events.push(event), true);
    logPrintedReply({ reply_id: '2' }, 'secret words');
    expect(events[1]).toMatchObject({
      event: 'reply_printed',
      reply_id: '2',
      text: 'secret words',
    });

    setSink((event) => events.push(event));
    logPrintedReply({ reply_id: '3' }, 'secret words');
    expect(events[2]).not.toHaveProperty('text');
  });

  it('does not print a reply where nobody wants to hear of it', () => {
    setLogLevel('warn');
    setSink((event) => events.push(event), true);
    logPrintedReply({}, 'words');
    expect(events).toEqual([]);
  });
});

describe('describeError', () => {
  const words = 'my-number-is-12025550101';

  it('says the name, the code and where it was thrown', () => {
    const described = describeError(Object.assign(new RangeError(words), { code: '22P05' }));
    expect(described).toMatchObject({
      error: 'RangeError',
      code: '22P05',
      at: expect.stringMatching(/^at .*log\.test\.ts:\d+:\d+/) as string,
    });
    expect(describeError(new BatonError('turn_lost', words))).toMatchObject({
      error: 'BatonError',
      code: 'turn_lost',
    });
  });

  it('leaves out a code that is no text, and a place nobody knows', () => {
    const error = Object.assign(new Error(words), { code: 7 });
    delete error.stack;
    expect(describeError(error)).toEqual({ error: 'Error' });
  });

  it.each<[unknown, string]>([
    [words, 'string'],
    [undefined, 'undefined'],
    [{ message: words }, 'object'],
    [12025550101, 'number'],
  ])('says only the kind of what is no error', (thrown, kind) => {
    expect(describeError(thrown)).toEqual({ error: kind });
  });

  it.each<[string, Error]>([
    ['of one line', new Error(words)],
    ['of several lines', new Error(`first\n${words}\nlast`)],
    ['with a line that begins like one of a stack', new Error(`see you\n  at ${words}`)],
    ['of its cause', new Error('outer', { cause: new Error(words) })],
    ['of its parts', new AggregateError([new Error(words)], words)],
  ])('never holds the message %s', (_, error) => {
    expect(JSON.stringify(describeError(error))).not.toContain(words);
  });

  it('never holds the message, whatever lines it has', () => {
    const piece = fc.constantFrom(
      '\n',
      '\r\n',
      '    at ',
      ' at ',
      '\tat ',
      ' ',
      'x',
      'Error: ',
      '(node:fs:1:1)',
      words,
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        expect(JSON.stringify(describeError(new Error(pieces.join(''))))).not.toContain(words);
      }),
      { numRuns: 500 },
    );
  });
});
