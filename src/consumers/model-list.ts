import { Clock } from '../clock.js';
import { declareAction, replyShapes } from '../dispatch/actions.js';
import { Cancelled, ConfigurationError } from '../errors.js';
import type { FilterKwargsOf, TakesNoFilter } from '../filters/filter-types.js';
import { type AnyFilterOptions, operatorsOf } from '../filters/model-filters.js';
import { describeKwargs } from '../kwargs/described-kwargs.js';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { checkKwargs, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import { type OwnSchema, ownSchema } from '../kwargs/own-schema.js';
import type { ModelPageSource } from '../paginators/model-page-source.js';
import type { Page } from '../paginators/page.js';
import type { PageKwargsOf, PageOf, Paginator } from '../paginators/paginator.js';
import type { ActionContext } from '../scope/action-context.js';
import { encodeData } from '../wire/codec.js';
import type { Mixin, MixinTypes } from './mix.js';
import { type AnyModelConsumer, planFor, settingsOf } from './model-consumer.js';
import type { ModelTraits } from './model-options.js';

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Traits<On> = On extends { readonly traits: infer Of extends ModelTraits } ? Of : never;
type PaginatorOf<On> = Traits<On>['paginator'];
type FiltersOf<On> = Traits<On>['filters'];

/** A page's own, the filters', and one object of the two. */
export type ListKwargs<On> = (PaginatorOf<On> extends undefined ? unknown : PageKwargsOf<PaginatorOf<On>>) &
  FilterKwargsOf<Model<On>, FiltersOf<On>> extends infer Kwargs
  ? { readonly [Name in keyof Kwargs]: Kwargs[Name] }
  : never;

/** The context alone, where neither a paginator nor a filter asks for kwargs. */
export type ListParameters<On> = [TakesNoFilter<FiltersOf<On>>, PaginatorOf<On>] extends [true, undefined]
  ? [context: ActionContext]
  : [kwargs: ListKwargs<On>, context: ActionContext];

/** The `data` of a list: an array of rows, or a page where the consumer has a paginator. */
export type ListResult<On> = PaginatorOf<On> extends undefined ? Model<On>[] : PageOf<PaginatorOf<On>, Model<On>>;

/** What `List` adds to a consumer. */
export interface ListActions<On> {
  /**
   * The rows of the query: all of them, or a page of the consumer's paginator; narrowed and ordered by its filters, which
   * `super.list` checks.
   *
   * ```json
   * {"action": "list", "request_id": 1}
   * {"errors": [], "data": [{…}, {…}], "action": "list", "response_status": 200, "request_id": 1}
   * ```
   */
  list(...parameters: ListParameters<On>): Promise<ListResult<On>>;
}

export interface ListTypes extends MixinTypes {
  readonly actions: ListActions<this['on']>;
}

/** What `StreamedList` adds to a consumer. */
export interface StreamedListActions<On> {
  /**
   * All pages behind the one that was asked for, each in a frame: 206, and 200 for the last. Holds up no other request.
   *
   * ```json
   * {"action": "list", "request_id": 1}
   * {"errors": [], "data": {"count": 3, "results": [{…}, {…}], "limit": 2, "offset": 0}, "action": "list", "response_status": 206, "request_id": 1}
   * {"errors": [], "data": {"count": 3, "results": [{…}], "limit": 2, "offset": 2}, "action": "list", "response_status": 200, "request_id": 1}
   * ```
   */
  list(kwargs: ListKwargs<On>, context: ActionContext): AsyncGenerator<ListResult<On>, ListResult<On>>;
  /**
   * Ends all lists of this consumer that are under way: each is answered with 499. To end one of them, `cancel` it by its
   * request id. `{"action": "list_cancel", "request_id": 2}` -> 200, also where there is none
   */
  listCancel(context: ActionContext): Promise<void>;
}

export interface StreamedListTypes extends MixinTypes {
  readonly actions: StreamedListActions<this['on']>;
}

/** The parameters of `list` at run time. */
type Parameters = [kwargs: object, context: ActionContext] | [context: ActionContext];

/** The methods of the mixins, one for each class that has it. */
const plainLists = new WeakSet<object>();

/** Whether `list` is a mixin's own, which shows the rows as they are. */
export function isPlainList(method: object): boolean {
  return plainLists.has(method);
}

export interface List extends Mixin<ListTypes> {}

/**
 * Mixin: the action `list`. Without a paginator all rows are answered, with one a page of them.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List) {}
 * ```
 *
 * ```json
 * {"action": "list", "request_id": 1}
 * {"errors": [], "data": [{"id": 1, "name": "red"}], "action": "list", "response_status": 200, "request_id": 1}
 * ```
 */
export const List: List = (base) => {
  const { paginator, filters } = settingsOf(base.prototype);
  abstract class Listing extends base {
    async list(...parameters: Parameters): Promise<object> {
      const [kwargs, context] = parameters.length === 2 ? parameters : [{}, parameters[0]];
      const rows = await sourceFor(this, kwargs, context);
      return paginator ? this.scope.container.resolve(paginator).page(rows, kwargs) : rows.all();
    }
  }
  plainLists.add(Listing.prototype.list);
  const names = namesOf(filters);
  const schemas = [...(paginator ? [paginator.kwargs] : []), ...ownSchemas(filters)];
  declareAction(Listing.prototype, 'list', {
    isDetail: false,
    refuses: undeclaredTexts,
    ...(schemas.length + names.length > 0 && { kwargs: listKwargs(schemas, names) }),
  });
  replyShapes.write(Listing.prototype, 'list', 'rows');
  return Listing;
};

/** The rows of a list: entities where the application has a `list` of its own, which may look at them, or where showing them needs them. */
async function sourceFor(consumer: AnyModelConsumer, kwargs: object, context: ActionContext): Promise<ModelPageSource> {
  const rows = await consumer['rows'](kwargs, context);
  if (!isPlainList(Reflect.get(consumer, 'list'))) return rows;
  const planned = await planFor(consumer, context);
  return planned ? rows.plannedBy(planned) : rows;
}

/** `list` in pages that follow each other, and DCRF's `list_cancel`. One page at a time is in memory. */
export interface StreamedList extends Mixin<StreamedListTypes> {}

export const StreamedList: StreamedList = (base) => {
  const { paginator: pages, filters } = settingsOf(base.prototype);
  if (!pages) {
    throw new ConfigurationError({
      class: 'StreamedList',
      reason: 'is mixed into a consumer without a paginator, so that there are no pages to send.',
      remedy: 'Give it one: ModelConsumer(Entity, { serializer, paginator: LimitOffsetPaginator }).',
    });
  }
  abstract class Streaming extends base {
    readonly #open = new Set<AbortController>();

    async *list(kwargs: object, context: ActionContext): AsyncGenerator<Page<object>, Page<object>> {
      const own = new AbortController();
      this.#open.add(own);
      try {
        return yield* this.#pages(kwargs, context, AbortSignal.any([context.signal, own.signal]));
      } finally {
        this.#open.delete(own);
      }
    }

    async listCancel(_context: ActionContext): Promise<void> {
      for (const one of this.#open) one.abort(new Cancelled());
    }

    async *#pages(
      first: object,
      context: ActionContext,
      signal: AbortSignal,
    ): AsyncGenerator<Page<object>, Page<object>> {
      const { container } = this.scope;
      const paginator: Paginator = container.resolve(pages as NonNullable<typeof pages>);
      let kwargs = first;
      for (;;) {
        const rows = await sourceFor(this, kwargs, context);
        const page = await paginator.page(rows, kwargs);
        signal.throwIfAborted();
        const next = paginator.next(page, kwargs);
        const following = { ...kwargs, ...next };
        // A cursor that does not move on would show this page for ever.
        if (!next || encodeData(following) === encodeData(kwargs)) return page;
        yield page;
        // What is sent is not needed any more.
        this.unitOfWork.em.clear();
        await pause(container.resolve(Clock), paginator.pause, signal);
        kwargs = following;
      }
    }
  }
  plainLists.add(Streaming.prototype.list);
  declareAction(Streaming.prototype, 'list', {
    isDetail: false,
    detached: true,
    refuses: undeclaredTexts,
    kwargs: listKwargs([pages.kwargs, ...ownSchemas(filters)], namesOf(filters)),
  });
  declareAction(Streaming.prototype, 'listCancel', { isDetail: false, detached: true });
  replyShapes.write(Streaming.prototype, 'list', 'rows');
  replyShapes.write(Streaming.prototype, 'listCancel', 'nothing');
  return Streaming;
};

/** A filter that is dropped would show too much. */
const undeclaredTexts = {
  filter: 'This list has no filters.',
  ordering: 'This list has no ordering.',
  search: 'This list has no search.',
};

/** The kwargs of a consumer's filters. */
function namesOf({ fields = [], ordering = [], search = [] }: AnyFilterOptions = {}): readonly string[] {
  const named = { filter: operatorsOf(fields), ordering, search };
  return Object.entries(named).flatMap(([name, columns]) => (columns.length > 0 ? name : []));
}

/** What clients may send for `filterQuery`, and for that of the backends. */
function ownSchemas({ kwargs, backends = [] }: AnyFilterOptions = {}): readonly KwargsSchema[] {
  return [kwargs, ...backends.map((backend) => backend.kwargs)].filter((schema) => schema !== undefined);
}

/** What the schemas make of the kwargs, and what the filters will check. */
function listKwargs(schemas: readonly KwargsSchema[], filters: readonly string[]): OwnSchema<object> {
  return ownSchema(
    async (sent) => {
      const raw = sent as Readonly<Record<string, unknown>>;
      const value: Record<string, unknown> = {};
      for (const schema of schemas) Object.assign(value, (await checkKwargs(schema, raw, { strict: false })).value);
      for (const name of filters) if (name in raw) value[name] = raw[name];
      return { value };
    },
    (where) => {
      const described = schemas.map((schema) => describeKwargs(schema, where, 'Page'));
      const properties = Object.assign({}, ...described.map((each) => each.properties)) as Record<string, JsonSchema>;
      const required = described.flatMap((each) => each.required ?? []);
      return objectSchema({ ...properties, ...where.model?.filters }, required);
    },
  );
}

/** @throws the reason of an abort that comes first */
function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (milliseconds <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel();
      reject(signal.reason);
    };
    const timer = clock.after(milliseconds, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}
