import { watchForLeaks } from '../support/leaks.ts';

/** What is sent to any instance and what any of them logs: `play` compares them when a scenario is over. */
export const leaks = watchForLeaks();
