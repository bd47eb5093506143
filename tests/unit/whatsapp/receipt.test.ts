import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReceipts } from '../../../lib/channels/whatsapp/receipt.ts';
import { captureLog } from '../../support/logged.ts';
import { device, said } from '../../support/turns.ts';

const events = captureLog();

/** Notes which messages are shown as read. */
function open(outcome: () => Promise<{ status: number }> = () => Promise.resolve({ status: 200 })) {
  const shown: unknown[] = [];
  const attend = createReceipts((account, body) => {
    shown.push([account, body['message_id']]);
    return outcome();
  });
  return { shown, attend };
}

const turn = (...ids: (string | null)[]) => ({
  device,
  account: '200000000000001',
  messages: said(...ids.map(() => 'hi')).map((message, i) => ({
    ...message,
    messageId: ids[i] ?? null,
  })),
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('while somebody is at work', () => {
  it('the newest message with an id of Meta’s is shown as read, at once', () => {
    const { shown, attend } = open();
    attend(turn('wamid.1', 'wamid.2', 'made-up', null))();
    expect(shown).toEqual([['200000000000001', 'wamid.2']]);
  });

  it('it is shown again before WhatsApp forgets it after 25 seconds, until the work is over', () => {
    const { shown, attend } = open();
    const leave = attend(turn('wamid.1'));
    vi.advanceTimersByTime(24_000);
    expect(shown).toHaveLength(2);
    vi.advanceTimersByTime(40_000);
    expect(shown).toHaveLength(4);
    leave();
    vi.advanceTimersByTime(3_600_000);
    expect(shown).toHaveLength(4);
    leave();
  });

  it('nothing is shown where no message has such an id', () => {
    const { shown, attend } = open();
    attend(turn('made-up', null))();
    vi.advanceTimersByTime(60_000);
    expect(shown).toEqual([]);
  });

  it('no more than sixteen are under way at a time, and the rest are left out', async () => {
    const answer = Promise.withResolvers<{ status: number }>();
    const { shown, attend } = open(() => answer.promise);
    for (let i = 0; i < 50; i++) attend(turn(`wamid.${i}`))();
    expect(shown).toHaveLength(16);
    answer.resolve({ status: 200 });
    await answer.promise;
    await vi.waitFor(() => {
      attend(turn('wamid.next'))();
      expect(shown).toHaveLength(17);
    });
  });

  it.each([
    ['refused', () => Promise.resolve({ status: 400 }), 'receipt_refused'],
    ['lost', () => Promise.reject(new Error('confidential')), 'receipt_failed'],
  ])('one that is %s is a line for whoever looks closely', async (_, outcome, event) => {
    const { attend } = open(outcome);
    attend(turn('wamid.1'))();
    await vi.waitFor(() => expect(events).toMatchObject([{ level: 'debug', event }]));
    expect(JSON.stringify(events)).not.toContain('confidential');
  });
});
