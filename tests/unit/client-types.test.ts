import { describe, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import type { answers } from '../../dev/openapi/answers.ts';
import type { BatonProblem, Client } from '../../lib/client.ts';
import type * as Types from '../../lib/client-types.ts';

/** What the functions answer, as the schemas of the document have it. */
type Answered = { [Name in keyof typeof answers]: z.output<(typeof answers)[Name]> };

type IsAny<T> = 0 extends 1 & T ? true : false;
/** Types that are not looked into: the platform's, and those that hold themselves. */
type Known<T> = T extends Response | RequestInit | AbortSignal
  ? true
  : [T, Types.JsonObject] extends [Types.JsonObject, T]
    ? true
    : [T, Types.Json] extends [Types.Json, T]
      ? true
      : false;
/** Names of everything in a type, however deep, that is `any`; never: nothing is. */
type AnyIn<T, Way extends string = ''> =
  IsAny<T> extends true
    ? Way
    : T extends (...args: infer Arguments) => infer Result
      ? AnyIn<Arguments, `${Way}()`> | AnyIn<Awaited<Result>, `${Way}->`>
      : Known<T> extends true
        ? never
        : T extends readonly (infer Item)[]
          ? AnyIn<Item, `${Way}[]`>
          : T extends object
            ? { [Key in keyof T & (string | number)]: AnyIn<T[Key], `${Way}.${Key}`> }[keyof T &
                (string | number)]
            : never;

describe('the types', () => {
  it('are those of the answers', () => {
    expectTypeOf<Answered['Lock']>().toEqualTypeOf<Types.Lock>();
    expectTypeOf<Answered['State']>().toEqualTypeOf<Types.State>();
    expectTypeOf<Answered['Message']>().toEqualTypeOf<Types.Message>();
    expectTypeOf<Answered['Turn']>().toEqualTypeOf<Types.Turn>();
    expectTypeOf<
      Answered['NoTurn'] | Answered['Queued'] | Answered['HeldByPerson'] | Answered['Duplicate']
    >().toEqualTypeOf<Types.NoTurn>();
    expectTypeOf<Answered['RenewedTurn']>().toEqualTypeOf<Types.RenewedTurn>();
    expectTypeOf<Answered['RetriedMessages']>().toEqualTypeOf<Types.RetriedMessages>();
    expectTypeOf<Answered['BegunSession']>().toEqualTypeOf<Types.BegunSession>();
    expectTypeOf<Answered['Session']>().toEqualTypeOf<Types.Session>();
    expectTypeOf<Answered['History']>().toEqualTypeOf<Types.History>();
    expectTypeOf<
      Answered['ChatAnswer'] | Answered['QueuedMessage']
    >().toEqualTypeOf<Types.ChatAnswer>();
    expectTypeOf<
      Answered['WebAnswer'] | Answered['QueuedMessage']
    >().toEqualTypeOf<Types.WebAnswer>();
    expectTypeOf<Answered['Registration']>().toEqualTypeOf<Types.Registration>();
    expectTypeOf<Answered['LinkCode']>().toEqualTypeOf<Types.LinkCode>();
    expectTypeOf<Answered['Linked']>().toEqualTypeOf<Types.Linked>();
    expectTypeOf<Answered['Receipt']>().toEqualTypeOf<Types.Receipt>();
    expectTypeOf<Answered['Stats']>().toEqualTypeOf<Types.Stats>();
    expectTypeOf<Answered['CleanUp']>().toEqualTypeOf<Types.CleanUp>();
    expectTypeOf<Answered['Health']>().toEqualTypeOf<Types.Health>();
    expectTypeOf<Answered['FailedMessages']>().toExtend<Types.FailedMessages>();
    expectTypeOf<Types.FailedMessages>().toExtend<Answered['FailedMessages']>();
    expectTypeOf<Answered['Sessions'] | Answered['FoundSessions']>().toExtend<Types.Sessions>();
    expectTypeOf<Answered['Device']>().toExtend<Types.Device>();
    expectTypeOf<Types.Device>().toExtend<Answered['Device']>();
  });

  it('hold no any', () => {
    expectTypeOf<AnyIn<Omit<Client, 'with'>>>().toEqualTypeOf<never>();
    expectTypeOf<AnyIn<BatonProblem>>().toEqualTypeOf<never>();
    // and one would be found
    // oxlint-disable-next-line typescript/no-explicit-any -- what must not be there
    expectTypeOf<AnyIn<{ a: () => Promise<{ b: any }> }>>().toEqualTypeOf<'.a->.b'>();
  });
});
