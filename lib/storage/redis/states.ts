import type { JsonObject } from '../../json.ts';
import type { DeviceId, Guard, Guarded, StateDocument, Storage, Version } from '../storage.ts';
import { isRepeatable } from './locks.ts';
import { DOCUMENTS } from './lua/documents.ts';
import { STATES } from './lua/states.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, documentOf, textOf, type Told } from './views.ts';

const GET = script(
  STATES,
  String.raw`
return cjson.encode(view_state(open(linked_to(input.device))))
`,
);

const WRITE = script(
  DOCUMENTS,
  STATES,
  String.raw`
local id = linked_to(input.device)
local known = open(id)
local stands = known and call('GET', at(id, 'state'))
if not allows(input.guard, stands and known.stateVersion or nil) then return '{}' end
local state = input.state or merged(stands or '{}', input.patch)
if #state > limits.maxStateBytes then return '{"tooLarge":true}' end
write_state(ensure(id), state)
finish()
return cjson.encode(view_state(open(id)))
`,
);

const CLEAR = script(
  STATES,
  String.raw`
local device = open(linked_to(input.device))
local stands = device and call('EXISTS', at(device.id, 'state')) == 1
if not allows(input.guard, stands and device.stateVersion or nil) then return '{}' end
if stands then
  write_state(device, nil)
  finish()
end
return cjson.encode({ now = now })
`,
);

type ToldState = Told<{ state?: string; version?: string; updatedAt?: number }>;

const parseState = ({ state, version, updatedAt }: Partial<ToldState>): StateDocument =>
  state === undefined
    ? { state: {}, version: null, updatedAt: null }
    : {
        state: documentOf(state),
        version: (version ?? null) as Version | null,
        updatedAt: updatedAt === undefined ? null : dateOf(updatedAt),
      };

/** The conversation state. */
export function stateOperations({
  run,
}: Runner): Pick<Storage, 'getState' | 'putState' | 'patchState' | 'clearState'> {
  const write = async (
    device: DeviceId,
    change: { state: string } | { patch: string },
    guard: Guard,
  ): Promise<Guarded<StateDocument>> => {
    const input = { device, guard, ...change };
    const told = (await run(WRITE, input, isRepeatable(guard))) as Partial<ToldState>;
    if (told.now === undefined) return { written: false };
    return { written: true, now: dateOf(told.now), ...parseState(told) };
  };
  return {
    async getState(device) {
      const told = (await run(GET, { device })) as ToldState;
      return { now: dateOf(told.now), ...parseState(told) };
    },
    putState: (device, state: JsonObject, guard) => write(device, { state: textOf(state) }, guard),
    patchState: (device, patch: JsonObject, guard) =>
      write(device, { patch: textOf(patch) }, guard),
    async clearState(device, guard) {
      const told = (await run(CLEAR, { device, guard }, isRepeatable(guard))) as { now?: number };
      return told.now === undefined ? { written: false } : { written: true, now: dateOf(told.now) };
    },
  };
}
