import type { DeviceId } from '../storage.ts';
import type { Synchronous } from './operations.ts';
import { deviceRow, isLinkName, linkedTo, linkName, type Memory, type Tables } from './tables.ts';

/** Devices that share one conversation. */
export function linkingOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'offerLink' | 'redeemLink' | 'unlink'> {
  const { linkCodes, linkTries, identities, checked } = tables;
  return {
    offerLink(id, codes, seconds) {
      const now = clock();
      const { id: device } = deviceRow(tables, linkedTo(tables, id), now);
      for (const [code, { endsAt }] of linkCodes) if (endsAt <= now) linkCodes.delete(code);
      takeCodes(tables, device);
      const code = codes.find((one) => !linkCodes.has(one));
      if (code === undefined) return { now: new Date(now), link: null };
      const endsAt = now + seconds * 1_000;
      linkCodes.set(code, { device, redeemedBy: null, endsAt });
      return { now: new Date(now), link: { code, expiresAt: new Date(endsAt) } };
    },
    redeemLink(id, code, { own, all, seconds }) {
      const now = clock();
      deviceRow(tables, id, now);
      for (const [device, { since }] of linkTries)
        if (since <= now - seconds * 1_000) linkTries.delete(device);
      const tries = linkTries.get(id) ?? { count: 0, since: now };
      const ofAll = [...linkTries.values()].reduce((sum, { count }) => sum + count, 0);
      if (tries.count >= own || ofAll >= all) return { now: new Date(now), outcome: 'too_many' };
      const link = linkCodes.get(code);
      if (link === undefined || link.endsAt <= now || (link.redeemedBy ?? id) !== id) {
        linkTries.set(id, { ...tries, count: tries.count + 1 });
        return { now: new Date(now), outcome: 'invalid' };
      }
      if (link.device === id) return { now: new Date(now), outcome: 'own' };
      for (const name of namesOf(tables, id)) identities.set(name, link.device);
      identities.set(linkName(id), link.device);
      checked.set(linkName(id), now);
      link.redeemedBy = id;
      takeCodes(tables, id);
      linkTries.delete(id);
      return { now: new Date(now), outcome: 'linked' };
    },
    unlink(id) {
      const names = identities.has(linkName(id)) ? [linkName(id)] : namesOf(tables, id);
      for (const name of names) identities.delete(name);
      takeCodes(tables, id);
      return { now: new Date(clock()), unlinked: names.length };
    },
  };
}

/** The devices that are linked to one, by their names. */
const namesOf = ({ identities }: Tables, id: DeviceId): string[] =>
  [...identities].flatMap(([name, leadsTo]) => (leadsTo === id && isLinkName(name) ? [name] : []));

/** A device's codes are good no more. */
function takeCodes({ linkCodes }: Tables, id: DeviceId): void {
  for (const [code, { device }] of linkCodes) if (device === id) linkCodes.delete(code);
}
