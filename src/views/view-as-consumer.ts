import { ApiConsumer, boundSession } from '../consumers/api-consumer.js';
import { Action, type ViewOfReply } from '../decorators/action.js';
import { Consumer } from '../decorators/consumer.js';
import type { ReplyClass } from '../dispatch/actions.js';
import { type ActionReply, reply } from '../dispatch/reply.js';
import { objectSchema } from '../kwargs/json-schema.js';
import { type OwnSchema, ownSchema } from '../kwargs/own-schema.js';
import type { ActionContext } from '../scope/action-context.js';
import type { JsonObject } from '../wire/codec.js';
import type { View } from './view.js';
import { toRequest, toViewKwargs, type ViewKwargs } from './view-request.js';
import { fromResponse } from './view-response.js';
import { parametersOf, route, type ViewRoute, type ViewTarget } from './view-route.js';

/** The actions of a view consumer, by the names of their methods. */
export type ViewActions = Readonly<Record<string, ViewRoute<ViewTarget, never> | ViewRoute>>;

type Part = string | number;

type NamesIn<Path extends string> = Path extends `${infer First}/${infer Rest}`
  ? NamesIn<First> | NamesIn<Rest>
  : Path extends `:${infer Name}`
    ? Name
    : never;

type PathOf<Target extends string> = Target extends `${string} ${infer Path}` ? Path : '';

/** A value of the query. A scalar is sent as text; a list repeats the parameter. */
type QueryValue = string | number | boolean | null;

type KwargsOfTarget<Target extends string> = {
  readonly [Name in NamesIn<PathOf<Target>>]: Part;
} & (Target extends `${'GET' | 'HEAD'}${string}` ? unknown : { readonly data?: unknown }) & {
    readonly query?: Readonly<Record<string, QueryValue | readonly QueryValue[]>>;
  } & (PathOf<Target> extends '' ? { readonly parameters?: Readonly<Record<string, unknown>> } : unknown);

type ReplyOfRoute<Shown> = [Shown] extends [never] ? unknown : ViewOfReply<Shown>;

/** The actions as methods, so that the types of clients follow. */
export type ViewMethods<Actions> = {
  readonly [Name in keyof Actions]: Actions[Name] extends ViewRoute<infer Target, infer Shown>
    ? (kwargs: KwargsOfTarget<Target>, context: ActionContext) => Promise<ReplyOfRoute<Shown>>
    : never;
};

/** The class that `viewAsConsumer` returns, for a route or to extend. */
export type ViewConsumerClass<Actions> = new () => ApiConsumer & ViewMethods<Actions>;

/** DCRF's mapping. Other methods are answered with 405. */
const defaultActions = {
  create: route('PUT'),
  update: route('PATCH'),
  list: route('GET'),
  retrieve: route('GET'),
};

/**
 * Makes a consumer of an existing HTTP handler: each action is a request to it, with the cookies and headers of the connection, the
 * kwarg `query` as its query, `parameters` (or kwargs with the names in the path) as its path, and `data` as its JSON body.
 *
 * ```ts
 * const LegacyRooms = viewAsConsumer((request) => hono.fetch(request), {
 *   retrieve: route('GET /rooms/:pk', RoomView),
 *   rename: route('PATCH /rooms/:pk'),
 * });
 * path('/ws/legacy/', LegacyRooms)
 * ```
 *
 * ```json
 * {"action": "rename", "request_id": 1, "pk": 4, "data": {"name": "new"}, "query": {"notify": ["ann", "bob"]}}
 * {"errors": [], "data": {"id": 4, "name": "new"}, "action": "rename", "response_status": 200, "request_id": 1}
 * ```
 *
 * An answer with a status of 400 or more becomes an error frame of that status; if the view throws, the client gets 500. Extend the
 * class to add permissions: `@Consumer() @Permissions(IsAuthenticated) class Rooms extends viewAsConsumer(…) {}`.
 *
 * @param actions default: `create` PUT, `update` PATCH, `list` and `retrieve` GET, to the path of the connection
 */
export function viewAsConsumer<const Actions extends object = typeof defaultActions>(
  view: View,
  actions?: Actions & ViewActions,
): ViewConsumerClass<Actions> {
  class ViewConsumer extends ApiConsumer {}
  const asked = Object.entries<ViewRoute>((actions ?? defaultActions) as Readonly<Record<string, ViewRoute>>);
  for (const [member, viewRoute] of asked) addAction(ViewConsumer.prototype, member, viewRoute, view);
  Consumer()(ViewConsumer);
  return ViewConsumer as unknown as ViewConsumerClass<Actions>;
}

function addAction(prototype: object, member: string, viewRoute: ViewRoute, view: View): void {
  const method = async function (this: ApiConsumer, kwargs: ViewKwargs, context: ActionContext): Promise<ActionReply> {
    const request = toRequest(viewRoute, kwargs, context);
    const response = await view(request, { parameters: kwargs.parameters, scope: context.scope });
    const { status, data } = await fromResponse(response, this[boundSession].settings.maxViewAnswer);
    return reply(data, { status });
  };
  const descriptor = { value: method, configurable: true, writable: true };
  Object.defineProperty(prototype, member, descriptor);
  const { reply: shown } = viewRoute as ViewRoute<ViewTarget, ReplyClass>;
  const options = { kwargs: kwargsSchema(viewRoute), atomic: false, ...(shown && { reply: shown }) };
  Action<OwnSchema<ViewKwargs>, never>(options as { kwargs: OwnSchema<ViewKwargs> })(prototype, member, descriptor);
}

function kwargsSchema(viewRoute: ViewRoute): OwnSchema<ViewKwargs> {
  const names = parametersOf(viewRoute);
  const hasBody = viewRoute.method !== 'GET' && viewRoute.method !== 'HEAD';
  return ownSchema(
    (value) => ({ value: toViewKwargs(value as JsonObject, viewRoute) }),
    () =>
      objectSchema(
        {
          ...Object.fromEntries(names.map((name) => [name, { type: ['string', 'number', 'boolean'] }])),
          query: { type: 'object' },
          ...(viewRoute.path === undefined && { parameters: { type: 'object' } }),
          ...(hasBody && { data: {} }),
        },
        names,
      ),
  );
}
