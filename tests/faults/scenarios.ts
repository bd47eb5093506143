import { answers } from './scenarios/answers.ts';
import { bursts } from './scenarios/bursts.ts';
import { cleaners } from './scenarios/cleaners.ts';
import { clocks } from './scenarios/clocks.ts';
import { deliveries } from './scenarios/deliveries.ts';
import { exhausted } from './scenarios/exhausted.ts';
import { hanging } from './scenarios/hanging.ts';
import { kills } from './scenarios/kills.ts';
import { late } from './scenarios/late.ts';
import { order } from './scenarios/order.ts';
import { outages } from './scenarios/outages.ts';
import { restarts } from './scenarios/restarts.ts';
import { takeover } from './scenarios/takeover.ts';
import type { StorageName } from './storage.ts';
import type { Scenario } from './world.ts';

/** In the order in which they are played. */
export const scenarios: readonly Scenario[] = [
  clocks,
  late,
  kills,
  takeover,
  deliveries,
  bursts,
  order,
  cleaners,
  answers,
  outages,
  exhausted,
  hanging,
  restarts,
];

/** Those that are played over a storage. */
export const scenariosOver = (storage: StorageName): readonly Scenario[] =>
  scenarios.filter(({ only }) => (only?.over ?? storage) === storage);

/** A line for each that is not, with the reason. */
export const leftOut = (storage: StorageName): readonly string[] =>
  scenarios.flatMap(({ name, only }) =>
    only === undefined || only.over === storage ? [] : [`${name} is not played: ${only.because}`],
  );
