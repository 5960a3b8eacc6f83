import type { AsyncApiDocument, AsyncApiMessage, AsyncApiOperation } from '../../explorer/asyncapi.js';
import type { JsonSchema } from '../../kwargs/json-schema.js';

/** One difference between two documents, as a sentence. */
export interface ContractChange {
  /** Whether a client that was written for the old document may fail. */
  readonly isBreaking: boolean;
  /** The subject of the change: the path and the stream with the action or observer. */
  readonly subject: string;
  readonly text: string;
}

/** Every difference between two AsyncAPI documents of an application that clients may notice. */
export function compareContracts(before: AsyncApiDocument, after: AsyncApiDocument): readonly ContractChange[] {
  const comparison = new Comparison(before, after);
  comparison.run();
  return comparison.changes;
}

/** The sender of the values. If the receiver accepts more, the change is safe; if the sender may send more, it is not. */
type Sender = 'client' | 'server';

/** The place in a frame that is compared. */
interface Place {
  readonly subject: string;
  readonly sender: Sender;
  /** `the reply`; empty for frames that clients send. */
  readonly frame: string;
  /** The path in the frame, such as `data.lines[].text`. */
  readonly path: string;
}

const asMaximum = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];
const asMinimum = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const asCondition = ['pattern', 'format', 'multipleOf', 'uniqueItems', 'allOf'];

class Comparison {
  readonly changes: ContractChange[] = [];
  /** Pairs of named schemas that are being compared, because schemas may contain themselves. */
  readonly #open = new Set<string>();

  constructor(
    private readonly before: AsyncApiDocument,
    private readonly after: AsyncApiDocument,
  ) {}

  run(): void {
    for (const [name, { address }] of Object.entries(this.before.channels)) {
      const other = this.after.channels[name];
      if (!other) this.#note(true, address, 'the path was removed');
      else if (other.address !== address) this.#note(true, address, `the path is ${other.address} now`);
    }
    for (const [name, { address }] of Object.entries(this.after.channels)) {
      if (!this.before.channels[name]) this.#note(false, address, 'the path is new');
    }
    for (const [name, operation] of Object.entries(this.before.operations)) this.#compareOperation(name, operation);
    for (const [name, operation] of Object.entries(this.after.operations)) {
      if (!this.before.operations[name] && !this.#isRenamed(name)) this.#noteNew(operation);
    }
  }

  #compareOperation(name: string, before: AsyncApiOperation): void {
    // The removed path is reported already, for everything in it.
    if (!this.after.channels[channelOf(before)]) return;
    const renamed = this.#renamed(name, before);
    const after = this.after.operations[name] ?? renamed;
    const subject = subjectOf(this.before, before);
    if (!after) {
      this.#note(true, subject, `the ${kindOf(before)} was removed`);
      return;
    }
    if (renamed) {
      this.#note(
        false,
        subject,
        `is called ${nameOf(renamed)} now, as its replies say, and still answers to ${nameOf(before)}`,
      );
    }
    this.#compareNotes(before, after, subject);
    this.#compareMessages(before, after, subject);
  }

  /** The action with its former name as an alias, if there is one. */
  #renamed(name: string, before: AsyncApiOperation): AsyncApiOperation | undefined {
    if (this.after.operations[name]) return undefined;
    return Object.values(this.after.operations).find(
      (after) => streamOf(after) === streamOf(before) && namesIn(after, 'x-aliases').includes(nameOf(before)),
    );
  }

  #isRenamed(name: string): boolean {
    return Object.entries(this.before.operations).some(
      ([former, before]) => this.#renamed(former, before) === this.after.operations[name],
    );
  }

  #noteNew(operation: AsyncApiOperation): void {
    if (!this.before.channels[channelOf(operation)]) return;
    this.#note(false, subjectOf(this.after, operation), `the ${kindOf(operation)} is new`);
  }

  #compareNotes(before: AsyncApiOperation, after: AsyncApiOperation, subject: string): void {
    const [was, is] = [before['x-permissions'], after['x-permissions']];
    if (was !== is) this.#note(false, subject, `asks ${is} now and asked ${was} before: check who may still call it`);
    for (const alias of namesIn(before, 'x-aliases')) {
      if (alias === nameOf(after) || namesIn(after, 'x-aliases').includes(alias)) continue;
      this.#note(true, subject, `no longer answers to ${alias}`);
    }
    for (const observer of namesIn(before, 'x-subscribes-to')) {
      if (namesIn(after, 'x-subscribes-to').includes(observer)) continue;
      this.#note(true, subject, `no longer subscribes to ${observer}`);
    }
  }

  #compareMessages(before: AsyncApiOperation, after: AsyncApiOperation, subject: string): void {
    const sent = messagesOf(this.after, after);
    const sender = before.action === 'receive' ? 'client' : 'server';
    for (const [event, message] of messagesOf(this.before, before)) {
      const frame = sender === 'client' ? '' : `the ${event} event`;
      this.#comparePayloads(message, sent.get(event), { subject, sender, frame, path: '' });
    }
    const replies = messagesOf(this.after, after, 'reply');
    for (const [kind, message] of messagesOf(this.before, before, 'reply')) {
      const frame = kind === 'part' ? 'a part' : kind === 'error' ? 'an error' : 'the reply';
      this.#comparePayloads(message, replies.get(kind), { subject, sender: 'server', frame, path: '' });
    }
    if (replies.has('part') && !messagesOf(this.before, before, 'reply').has('part')) {
      this.#note(true, subject, 'sends parts before its reply now');
    }
  }

  #comparePayloads(before: AsyncApiMessage, after: AsyncApiMessage | undefined, place: Place): void {
    if (after) this.#compare(payloadOf(before), payloadOf(after), place);
    else this.#note(true, place.subject, `${place.frame} is not sent any more`);
  }

  #compare(one: JsonSchema, other: JsonSchema, place: Place): void {
    if (JSON.stringify(one) === JSON.stringify(other) && !JSON.stringify(one).includes('"$ref"')) return;
    const pair = `${one.$ref} ${other.$ref} ${place.sender}`;
    if (one.$ref !== undefined && this.#open.has(pair)) return;
    this.#open.add(pair);
    const [before, after] = [resolved(this.before, one), resolved(this.after, other)];
    this.#compareTypes(before, after, place);
    this.#compareValues(before, after, place);
    this.#compareBounds(before, after, place);
    this.#compareProperties(before, after, place);
    this.#compareVariants(before, after, place);
    if (before.items && after.items) this.#compare(before.items, after.items, at(place, '[]'));
    this.#open.delete(pair);
  }

  #compareTypes(before: JsonSchema, after: JsonSchema, place: Place): void {
    const [was, is] = [typesOf(before), typesOf(after)];
    if (was.length > 0 && is.length > 0) {
      const lost = was.filter((type) => !includes(is, type));
      const gained = is.filter((type) => !includes(was, type));
      if (lost.length > 0)
        this.#narrowed(place, `accepts no ${lost.join(' and no ')} any more`, `is never ${lost.join(' or ')} any more`);
      if (gained.length > 0)
        this.#widened(place, `accepts ${gained.join(' and ')} too`, `may be ${gained.join(' or ')} now`);
      return;
    }
    if (isAnything(before) && !isAnything(after))
      this.#narrowed(place, `accepts ${worded(after)} only`, `is ${worded(after)}`);
    if (!isAnything(before) && isAnything(after)) this.#widened(place, 'accepts anything', 'may be anything now');
  }

  #compareValues(before: JsonSchema, after: JsonSchema, place: Place): void {
    const [was, is] = [valuesOf(before), valuesOf(after)];
    if (was && is) {
      this.#compareLists(was, is, place);
    } else if (is && !isAnything(before)) {
      this.#narrowed(place, `accepts ${shown(is)} only`, `is one of ${shown(is)} now`);
    } else if (was && !isAnything(after)) {
      this.#widened(place, `accepts more than ${shown(was)}`, `may be another than ${shown(was)} now`);
    }
  }

  #compareLists(was: readonly unknown[], is: readonly unknown[], place: Place): void {
    const lost = was.filter((value) => !is.includes(value));
    const gained = is.filter((value) => !was.includes(value));
    if (place.path === 'response_status' && lost.length > 0) {
      this.#note(true, place.subject, `${place.frame} has status ${shown(is)}, and had ${shown(was)}`);
      return;
    }
    if (lost.length > 0)
      this.#narrowed(place, `accepts no ${shown(lost)} any more`, `is never ${shown(lost)} any more`);
    if (gained.length > 0) this.#widened(place, `accepts ${shown(gained)} too`, `may be ${shown(gained)} now`);
  }

  #compareBounds(before: JsonSchema, after: JsonSchema, place: Place): void {
    for (const keyword of [...asMaximum, ...asMinimum, ...asCondition]) {
      const [was, is] = [before[keyword], after[keyword]];
      if (JSON.stringify(was) === JSON.stringify(is) || isAnything(before) || isAnything(after)) continue;
      const text = `has ${keyword} ${shownBound(is)}, and had ${shownBound(was)}`;
      if (isNarrower(keyword, was, is)) this.#narrowed(place, text, text);
      if (isNarrower(keyword, is, was)) this.#widened(place, text, text);
    }
    if (place.sender === 'server') return;
    const [wasClosed, isClosed] = [before['additionalProperties'] === false, after['additionalProperties'] === false];
    const where = place.path === '' ? 'kwargs' : 'properties';
    if (!wasClosed && isClosed) this.#narrowed(place, `refuses ${where} that it does not know`, '');
    if (wasClosed && !isClosed) this.#widened(place, `no longer refuses ${where} that it does not know`, '');
  }

  #compareProperties(before: JsonSchema, after: JsonSchema, place: Place): void {
    const { properties: was = {}, required: neededBefore = [] } = before;
    const { properties: is = {}, required: neededAfter = [] } = after;
    for (const [name, schema] of Object.entries(was)) {
      // Frames are compared by their action, so the action itself is not compared.
      if (name === 'action' && place.path === '') continue;
      const inner = at(place, name);
      const other = is[name];
      if (!other) {
        if (!isAnything(after)) this.#says(true, inner, 'is not accepted any more', 'is not there any more');
        continue;
      }
      const [wasNeeded, isNeeded] = [neededBefore.includes(name), neededAfter.includes(name)];
      if (!wasNeeded && isNeeded) this.#narrowed(inner, 'is required now, and was optional', 'is always there now');
      if (wasNeeded && !isNeeded) this.#widened(inner, 'is optional now', 'may be missing now');
      this.#compare(schema, other, inner);
    }
    for (const name of Object.keys(is).filter((each) => !was[each])) {
      if (isAnything(before)) continue;
      const isNeeded = neededAfter.includes(name);
      const isBreaking = isNeeded && place.sender === 'client';
      this.#says(isBreaking, at(place, name), isNeeded ? 'is new and required' : 'is new and optional', 'is new');
    }
  }

  #compareVariants(before: JsonSchema, after: JsonSchema, place: Place): void {
    const [was, is] = [before.anyOf ?? [], after.anyOf ?? []];
    if (was.length > 0 && was.length === is.length) {
      for (const [index, variant] of was.entries()) this.#compare(variant, is[index] ?? {}, place);
      return;
    }
    const [texts, otherTexts] = [was, is].map((variants) => variants.map((one) => JSON.stringify(one))) as [
      string[],
      string[],
    ];
    const lost = was.filter((_one, index) => !otherTexts.includes(texts[index] ?? ''));
    const gained = is.filter((_one, index) => !texts.includes(otherTexts[index] ?? ''));
    const [less, more] = [lost, gained].map((variants) => variants.map(worded).join(' or ')) as [string, string];
    if (lost.length > 0 && is.length > 0)
      this.#narrowed(place, `accepts no ${less} any more`, `is never ${less} any more`);
    if (gained.length > 0 && was.length > 0) this.#widened(place, `accepts ${more} too`, `may be ${more} now`);
  }

  /** Reports fewer values than before, which is breaking for values that clients send. */
  #narrowed(place: Place, ofClient: string, ofServer: string): void {
    this.#says(place.sender === 'client', place, ofClient, ofServer);
  }

  /** Reports more values than before, which is breaking for values that clients receive. */
  #widened(place: Place, ofClient: string, ofServer: string): void {
    this.#says(place.sender === 'server', place, ofClient, ofServer);
  }

  #says(isBreaking: boolean, { subject, sender, frame, path }: Place, ofClient: string, ofServer: string): void {
    const what = path === '' ? frame : `\`${path}\`${frame && ` in ${frame}`}`;
    this.#note(isBreaking, subject, `${what} ${sender === 'client' ? ofClient : ofServer}`.trim());
  }

  #note(isBreaking: boolean, subject: string, text: string): void {
    const isKnown = this.changes.some((change) => change.subject === subject && change.text === text);
    if (!isKnown) this.changes.push({ isBreaking, subject, text });
  }
}

function at(place: Place, name: string): Place {
  const { path } = place;
  return { ...place, path: name === '[]' ? `${path}[]` : path === '' ? name : `${path}.${name}` };
}

/** The schema of the payload. The envelope of a demultiplexer belongs to the path, not to the message. */
function payloadOf({ payload }: AsyncApiMessage): JsonSchema {
  const { stream, payload: inner } = payload.properties ?? {};
  return stream && inner ? inner : payload;
}

/** The messages of an operation by the last part of their names: `request`, `reply`, `part`, `error`, `create`. */
function messagesOf(
  { channels }: AsyncApiDocument,
  { messages, reply }: AsyncApiOperation,
  of: 'request' | 'reply' = 'request',
): ReadonlyMap<string, AsyncApiMessage> {
  const references = of === 'request' ? messages : (reply?.messages ?? []);
  return new Map(
    references.flatMap(({ $ref }) => {
      const [, channel = '', name = ''] = /^#\/channels\/([^/]+)\/messages\/(.+)$/.exec($ref) ?? [];
      const message = channels[channel]?.messages[name];
      return message ? [[name.slice(name.lastIndexOf('.') + 1), message] as const] : [];
    }),
  );
}

function channelOf({ channel }: AsyncApiOperation): string {
  return channel.$ref.slice('#/channels/'.length);
}

function subjectOf({ channels }: AsyncApiDocument, operation: AsyncApiOperation): string {
  return `${channels[channelOf(operation)]?.address ?? ''} ${operation.title}`;
}

function kindOf({ action }: AsyncApiOperation): string {
  return action === 'receive' ? 'action' : 'observer';
}

function nameOf({ title }: AsyncApiOperation): string {
  return title.slice(title.lastIndexOf('.') + 1);
}

function streamOf(operation: AsyncApiOperation): string {
  return `${channelOf(operation)} ${operation.title.slice(0, -nameOf(operation).length)}`;
}

function namesIn(operation: AsyncApiOperation, extension: `x-${string}`): readonly string[] {
  const names = operation[extension];
  return Array.isArray(names) ? names.map(String) : [];
}

function resolved({ components }: AsyncApiDocument, schema: JsonSchema): JsonSchema {
  const name = /^#\/components\/schemas\/(.+)$/.exec(schema.$ref ?? '')?.[1];
  return name === undefined ? schema : (components.schemas[name] ?? {});
}

function typesOf({ type }: JsonSchema): readonly string[] {
  return type === undefined ? [] : [type].flat();
}

function includes(types: readonly string[], type: string): boolean {
  return types.includes(type) || (type === 'integer' && types.includes('number'));
}

function valuesOf(schema: JsonSchema): readonly unknown[] | undefined {
  return 'const' in schema ? [schema['const']] : schema.enum;
}

function isAnything(schema: JsonSchema): boolean {
  return Object.keys(schema).every(
    (keyword) => keyword === 'default' || keyword === 'description' || keyword === 'title',
  );
}

function isNarrower(keyword: string, was: unknown, is: unknown): boolean {
  if (is === undefined) return false;
  if (was === undefined || asCondition.includes(keyword)) return true;
  return asMaximum.includes(keyword) ? Number(is) < Number(was) : Number(is) > Number(was);
}

function worded({ $ref, type, items, anyOf }: JsonSchema): string {
  if ($ref !== undefined) return $ref.slice($ref.lastIndexOf('/') + 1);
  if (anyOf) return anyOf.map(worded).join(' or ');
  if (type === 'array' && items) return `array of ${worded(items)}`;
  return type === undefined ? 'values of a kind' : [type].flat().join(' or ');
}

function shown(values: readonly unknown[] | undefined): string {
  return (values ?? []).map((value) => JSON.stringify(value)).join(', ');
}

function shownBound(value: unknown): string {
  return value === undefined ? 'none' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}
