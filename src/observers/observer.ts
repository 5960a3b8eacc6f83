import { createHash } from 'node:crypto';
import { maximumNameLength } from '../channel-layer/channel-layer.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import type { LoggedRow } from '../orm/unit-of-work.js';
import { rightsIn } from '../serializers/field-rights.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { faultOf, type GroupsMethod, type LeaveOut, valueless } from './group-names.js';
import type { EventAction } from './model-event.js';
import {
  consumerGroupDeclarations,
  groupReadDeclarations,
  type ObservedSignal,
  type ObserverDeclaration,
  observerDeclarations,
  signalGroupDeclarations,
  type Visibility,
} from './observer-declaration.js';
import { type Revocation, type RevocationDeclaration, revocationDeclarations } from './revocation.js';

/** An observer in the form that the running application needs. */
export interface Observer {
  /** Its id, equal in every process of the application. */
  readonly id: string;
  readonly consumer: Class;
  readonly member: string;
  readonly model?: Class;
  readonly signal?: ObservedSignal;
  readonly serializer?: SerializerClass;
  readonly body?: (subject: never) => unknown;
  /** The hidden and lazy properties of a row that its body and its groups read. */
  readonly reads: readonly string[];
  /** Whether the row before a change is needed: its groups may change with its columns, or its visibility is checked. */
  readonly needsBefore: boolean;
  readonly only?: EventAction;
  /** Whether a subscription with these kwargs asks for a row; replaces the groups of the row. */
  readonly lets?: (kwargs: unknown, row: LoggedRow) => boolean;
  /** Whether a slow client may receive only the last of several changes of a row. */
  readonly latest: boolean;
  /** Whether events are sent unchanged, without a call of the method. */
  readonly passesThrough: boolean;
  readonly visibility?: Visibility;
  /** Whether its serializer shows some fields only to clients with rights. */
  readonly hasRights: boolean;
  /** What the permission of its subscriptions depends on. If there is any, the permission's answer holds until that changes. */
  readonly revocations: readonly Revocation[];
  /** Whether its subscriptions name the groups that they listen to; otherwise all of them listen to one group. */
  readonly hasGroups: boolean;
  /** The full names of its groups; that of the group of all rows if it declares none. */
  named(groups: readonly string[]): string[];
  /** The groups of a row, if its key determines them; undefined if the row is needed. */
  readonly groupsOfKey?: (key: unknown) => string[];
  /**
   * The groups of a row or a payload.
   *
   * @param leaveOut called for each name that is no group
   */
  groupsOfRow(row: object, leaveOut: LeaveOut): Promise<string[]>;
  /**
   * The groups that a consumer joins for a subscription.
   *
   * @throws ConfigurationError for a name that is no group
   */
  groupsOfSubscription(consumer: object, kwargs: unknown): Promise<string[]>;
}

interface GroupMembers {
  readonly ofRow: string | undefined;
  readonly ofConsumer: string | undefined;
  readonly revokedBy: readonly Revoking[];
}

/** A declaration and the member that it is on. */
interface Revoking extends RevocationDeclaration {
  readonly member: string;
}

/** The group of an observer that declares none: every subscription receives every row. */
export const everyRow = ['all'];

/** The observers of a consumer class, including those it inherits. */
export function observersOf(consumer: Class, id: string): ReadonlyMap<string, Observer> {
  const declared = observerDeclarations.read(consumer);
  const forSignal = membersByObserver(consumer, signalGroupDeclarations.read(consumer), declared);
  const forConsumer = membersByObserver(consumer, consumerGroupDeclarations.read(consumer), declared);
  const revoking = revokingOf(consumer, declared);
  const observers = new Map<string, Observer>();
  for (const [member, declaration] of declared) {
    checkBothSides(consumer, member, forSignal.has(member) || declaration.lets !== undefined, forConsumer.has(member));
    const members = { ofRow: forSignal.get(member), ofConsumer: forConsumer.get(member) };
    const revokedBy = revoking.filter(({ observer }) => observer === member);
    observers.set(member, compile(consumer, `${id}.${member}`, member, declaration, { ...members, revokedBy }));
  }
  return observers;
}

/** Tests whether any of these observers or revocations observes an entity. */
export function observedBy(
  listening: readonly { readonly model?: Class }[],
): (entity: { readonly prototype: object }) => boolean {
  const models = listening.flatMap(({ model }) => model ?? []);
  return ({ prototype }) => models.some((model) => prototype === model.prototype || prototype instanceof model);
}

function compile(
  consumer: Class,
  id: string,
  member: string,
  {
    model,
    signal,
    serializer,
    body,
    reads = [],
    latest,
    passesThrough,
    groupsByKey,
    lets,
    needsBefore = false,
    only,
    visibility: visibilityFor,
  }: ObserverDeclaration,
  { ofRow, ofConsumer, revokedBy }: GroupMembers,
): Observer {
  const prefixed = (groups: readonly string[]): string[] => [...new Set(groups.map((group) => nameOfGroup(id, group)))];
  const named = (groups: readonly string[]): string[] =>
    prefixed(ofConsumer === undefined && groups.length > 0 ? everyRow : groups);
  const collect = async (
    self: object,
    yields: string | undefined,
    subject: unknown,
    leaveOut: LeaveOut,
  ): Promise<string[]> => {
    if (yields === undefined) return everyRow;
    const method: GroupsMethod['method'] = Reflect.get(self, yields);
    return namesOf({ consumer: consumer.name, member: yields, self, method }, subject, leaveOut);
  };
  const outside = outsideOfConnections(consumer);
  const ofKey = groupsByKey && ofRow !== undefined && Reflect.get(consumer.prototype, ofRow) === groupsByKey.method;
  const groupsOfKey = ofKey ? (key: unknown) => prefixed(groupsByKey.groupsOf(key)) : () => prefixed(everyRow);
  const visibility = visibilityFor?.(consumer);
  return {
    id,
    consumer,
    member,
    hasGroups: ofConsumer !== undefined,
    named,
    revocations: revokedBy.map(({ member: yields, model: changed, signal: sent }) => ({
      ...(changed && { model: changed() }),
      ...(sent && { signal: { signal: sent, atOnce: false } }),
      groupsOf: async (subject, leaveOut) => named(await collect(outside, yields, subject, leaveOut)),
    })),
    ...(model && { model: model() }),
    ...(signal && { signal }),
    ...(serializer && { serializer }),
    ...(body && { body }),
    ...(visibility && { visibility }),
    reads: [...reads, ...(ofRow ? (groupReadDeclarations.read(consumer).get(ofRow) ?? []) : [])],
    hasRights: serializer !== undefined && rightsIn(serializer).size > 0,
    latest: latest === true,
    needsBefore: needsBefore || lets !== undefined || (ofRow !== undefined && !ofKey),
    ...(only && { only }),
    ...(lets && { lets: (kwargs, row) => lets(consumer, kwargs, row) }),
    ...((ofRow === undefined || ofKey) && !lets && { groupsOfKey }),
    passesThrough: passesThrough !== undefined && Reflect.get(consumer.prototype, member) === passesThrough,
    groupsOfRow: async (row, leaveOut) => prefixed(await collect(outside, ofRow, row, leaveOut)),
    groupsOfSubscription: async (instance, kwargs) => prefixed(await collect(instance, ofConsumer, kwargs, raise)),
  };
}

function raise(fault: ConfigurationError): never {
  throw fault;
}

/** Groups as the consumer's methods yield them, without the observer's name. */
export function shortGroups(id: string, groups: readonly string[]): readonly string[] {
  return groups.map((group) => (group.startsWith(`${id}/`) ? group.slice(id.length + 1) : group));
}

/**
 * The full name of a group. A client's kwargs may make it very long, and channel layers need not accept long names: such a name is hashed.
 */
function nameOfGroup(id: string, group: string): string {
  const name = `${id}/${group}`;
  if (name.length <= maximumNameLength) return name;
  return `${id}/sha256:${createHash('sha256').update(group).digest('hex')}`;
}

/**
 * The `this` of groups methods for rows, which run once per change and not per connection: it has only the methods of the class. Reading a
 * property that a constructor would have set throws an error that names it, instead of giving undefined.
 */
function outsideOfConnections(consumer: Class): object {
  return new Proxy(consumer.prototype, {
    get(prototype, name, self) {
      if (typeof name === 'symbol' || isMethod(prototype, name)) return Reflect.get(prototype, name, self);
      throw new ConfigurationError({
        class: consumer.name,
        member: name,
        reason:
          'is read while the groups of a row are computed, which happens once per change and outside any connection.',
        remedy: 'Derive the groups from the row alone.',
      });
    },
  });
}

/** Whether the property is a method. Accessors do not count: that of the scope, for example, needs a connection. */
function isMethod(prototype: object | null, name: string): boolean {
  if (!prototype) return false;
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  return own ? typeof own.value === 'function' : isMethod(Object.getPrototypeOf(prototype), name);
}

function membersByObserver(
  consumer: Class,
  notes: ReadonlyMap<string, string>,
  declared: ReadonlyMap<string, ObserverDeclaration>,
): ReadonlyMap<string, string> {
  for (const [member, observer] of notes) checkNamed(consumer, member, observer, declared);
  return new Map([...notes].map(([member, observer]) => [observer, member]));
}

function revokingOf(consumer: Class, declared: ReadonlyMap<string, ObserverDeclaration>): readonly Revoking[] {
  const revoking = [...revocationDeclarations.read(consumer)].flatMap(([member, declarations]) =>
    declarations.map((declaration) => ({ ...declaration, member })),
  );
  for (const { member, observer } of revoking) checkNamed(consumer, member, observer, declared);
  return revoking;
}

function checkNamed(
  consumer: Class,
  member: string,
  observer: string,
  declared: ReadonlyMap<string, ObserverDeclaration>,
): void {
  if (declared.has(observer)) return;
  throw new ConfigurationError({
    class: consumer.name,
    member,
    reason: `yields groups for "${observer}", which is not an observer.`,
    remedy: `Put @ModelObserver on ${observer}, or name one of: ${[...declared.keys()].join(', ') || 'none yet'}.`,
  });
}

function checkBothSides(consumer: Class, member: string, hasSignal: boolean, hasConsumer: boolean): void {
  if (hasSignal === hasConsumer) return;
  const missing = hasSignal ? 'GroupsForConsumer' : 'GroupsForSignal';
  throw new ConfigurationError({
    class: consumer.name,
    member,
    reason: `has groups for one side only, so no subscription would ever receive a change.`,
    remedy: `Add a method with @${missing}('${member}').`,
  });
}

/** The names that a groups method yields; a name that shows a missing value goes to `leaveOut` instead. */
async function namesOf(groups: GroupsMethod, subject: unknown, leaveOut: LeaveOut): Promise<string[]> {
  const names: string[] = [];
  for await (const group of await groups.method.call(groups.self, subject)) {
    const name = String(group);
    const fault = valueless.test(name) ? await faultOf(groups, subject, name) : undefined;
    if (fault) leaveOut(fault);
    else names.push(name);
  }
  return names;
}
