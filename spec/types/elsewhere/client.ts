// A client in another repository: of the server it has one file, written by `signalbox api:types`.
import type { Api } from './api.js';

type Actions = Api['rooms']['actions'];

declare function call<Name extends keyof Actions>(
  name: Name,
  kwargs: Actions[Name]['kwargs'],
): Promise<Actions[Name]['reply']>;

const [room] = await call('list', {});
room?.visits satisfies string | undefined;
(await call('createMessage', { room: 1, text: 'hi' })).user.username satisfies string;
await call('patch', { pk: 1, data: {} });
// @ts-expect-error misspelt kwarg
await call('createMessage', { room: 1, txet: 'hi' });
// @ts-expect-error a room is named by its number
await call('archive', { pk: 'red' });
// @ts-expect-error no such action
await call('destroy', { pk: 1 });
