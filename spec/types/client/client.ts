// A browser project as it is: no types of Node, no decorators, and of the server nothing but the declared type of its API.
import type { Api } from '../chat.js';

type Actions = Api['rooms']['actions'];

declare function call<Name extends keyof Actions>(
  name: Name,
  kwargs: Actions[Name]['kwargs'],
): Promise<Actions[Name]['reply']>;
declare function parts<Name extends keyof Actions>(
  name: Name,
  kwargs: Actions[Name]['kwargs'],
): AsyncIterable<Actions[Name]['part']>;
declare function heard<Name extends keyof Api['rooms']['observers']>(
  name: Name,
  listener: (event: Api['rooms']['observers'][Name]['event']) => void,
): void;

const [room] = await call('list', {});
room?.visits satisfies string | undefined;
// @ts-expect-error a bigint is text in JSON
room?.visits satisfies bigint | undefined;

const message = await call('createMessage', { room: 1, text: 'hi' });
message.sentAt satisfies string;
message.user.username satisfies string;
// @ts-expect-error a Date is text in JSON
message.sentAt.getTime();
// @ts-expect-error the password is not shown
message.user.password;
// @ts-expect-error misspelt kwarg
await call('createMessage', { room: 1, txet: 'hi' });
// @ts-expect-error a room is named by its number
await call('archive', { pk: 'red' });
// @ts-expect-error no such action
await call('destroy', { pk: 1 });
await call('patch', { pk: 1, data: {} });

for await (const { left } of parts('countdown', { room: 1 })) left satisfies number;
(await call('countdown', { room: 1 })).done satisfies boolean;

heard('onMessage', (event) => {
  if (event.action !== 'delete') event.data.text satisfies string;
  // @ts-expect-error a delete tells the key only
  else event.data.text;
});
// @ts-expect-error no such observer
heard('onMesage', () => {});
// @ts-expect-error the other stream has no such action
type Missing = Api['messages']['actions']['create'];

export type { Missing };
