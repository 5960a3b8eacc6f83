import type { RowOf } from 'signalbox/client';
import type { Api } from '../src/chat.js';

type Actions = Api['chat']['actions'];

/** What the server sends, as it declares it: a change there that a page does not know of is an error of the compiler here. */
export type RoomView = Actions['retrieve']['reply'];
export type RoomUsersView = Actions['joinRoom']['reply'];
export type RoomSummary = RowOf<Api['chat']['observers']['onRoom']['event']>;
export type MessageView = Actions['createMessage']['reply'];
export type UserView = MessageView['user'];
