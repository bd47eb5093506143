import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Harness, Open } from '../support/storage.ts';
import { acceptCases } from './accept.ts';
import { answerCases } from './answer.ts';
import { chatDeletionCases } from './chat-deletion.ts';
import { chatHistoryCases } from './chat-history.ts';
import { chatListCases } from './chat-lists.ts';
import { chatMessageCases } from './chat-messages.ts';
import { chatSearchCases } from './chat-search.ts';
import { chatSessionCases } from './chat-sessions.ts';
import { channelEventCases } from './channel-events.ts';
import { cleanUpCases } from './clean-up.ts';
import { clockCases } from './clock.ts';
import { commitLockAndStateCases } from './commit-lock-and-state.ts';
import { commitCases } from './commit.ts';
import { deliveryCases } from './delivery.ts';
import { figureCases } from './figures.ts';
import { erasingCases } from './erasing.ts';
import { userErasingCases } from './erasing-users.ts';
import { humanCases } from './human.ts';
import { identityCases } from './identities.ts';
import { keyCases } from './keys.ts';
import { laneCases } from './lanes.ts';
import { leaseCases } from './lease.ts';
import { linkCodeCases } from './link-codes.ts';
import { linkingCases } from './linking.ts';
import { lockCases } from './lock.ts';
import { nextCases } from './next.ts';
import { peopleCases } from './people.ts';
import { raceCases } from './races.ts';
import { rateCases } from './rates.ts';
import { recoveryCases } from './recovery.ts';
import { repeatedCases } from './repeated.ts';
import { reportCases } from './reports.ts';
import { retentionCases } from './retention.ts';
import { sessionCases } from './sessions.ts';
import { setAsideCases } from './set-aside.ts';
import { sizeCases } from './sizes.ts';
import { stateCases } from './state.ts';
import { statusCases } from './statuses.ts';
import { takingCases } from './taking.ts';

/** What a storage is asked, by subject. Each group has a storage of its own, and shares it among its cases. */
const groups = {
  lock: lockCases,
  human: humanCases,
  state: stateCases,
  accept: acceptCases,
  repeated: repeatedCases,
  people: peopleCases,
  identities: identityCases,
  'channel events': channelEventCases,
  lanes: laneCases,
  next: nextCases,
  commit: commitCases,
  'commit of lock and state': commitLockAndStateCases,
  lease: leaseCases,
  delivery: deliveryCases,
  statuses: statusCases,
  reports: reportCases,
  taking: takingCases,
  'set aside': setAsideCases,
  recovery: recoveryCases,
  answer: answerCases,
  sessions: sessionCases,
  'chat sessions': chatSessionCases,
  'chat messages': chatMessageCases,
  'chat deletion': chatDeletionCases,
  'chat lists': chatListCases,
  'chat search': chatSearchCases,
  'chat history': chatHistoryCases,
  'clean-up': cleanUpCases,
  retention: retentionCases,
  figures: figureCases,
  erasing: erasingCases,
  'erasing a user': userErasingCases,
  linking: linkingCases,
  'link codes': linkCodeCases,
  keys: keyCases,
  sizes: sizeCases,
  'messages within a minute': rateCases,
  clock: clockCases,
  'fifty at once': raceCases,
};

type Groups = typeof groups;
type NameIn<Group extends keyof Groups> = `${Group}: ${keyof Groups[Group] & string}`;
/** A case as a skip names it: `group: case`. */
export type CaseName = { [Group in keyof Groups]: NameIn<Group> }[keyof Groups];

/**
 * The whole suite over one storage.
 *
 * @param skips cases that this storage does not pass, each with the reason why it need not
 * @throws Error for a skip of a case that there is not, so that none outlives what it was written for
 */
export function storageConformance(
  open: Open,
  skips: Readonly<Partial<Record<CaseName, string>>> = {},
): void {
  const reasons = new Map<string, string>(Object.entries(skips));
  const names = Object.entries(groups).flatMap(([group, cases]) =>
    Object.keys(cases).map((name) => `${group}: ${name}`),
  );
  for (const [name, reason] of reasons) {
    if (!names.includes(name)) throw new Error(`a case to skip that there is not: ${name}`);
    if (reason === '') throw new Error(`no reason is given to skip: ${name}`);
  }
  for (const [group, cases] of Object.entries(groups)) {
    describe(group, () => {
      let harness: Harness;
      beforeAll(async () => {
        harness = await open();
      });
      afterAll(() => harness.close());

      for (const [name, run] of Object.entries(cases)) {
        const reason = reasons.get(`${group}: ${name}`);
        it(name, async (context) => {
          if (reason !== undefined) return context.skip(reason);
          await run(harness, open);
        });
      }
    });
  }
}
