import type { RowOf } from 'signalbox/client';
import type { Api } from '../src/chat.js';

type Actions = Api['chat']['actions'];

/**
 * The types of the server's data, as the server declares them: a change there that a page does not follow is a compile error
 * here.
 */
export type RoomView = Actions['retrieve']['reply'];
export type RoomUsersView = Actions['joinRoom']['reply'];
export type RoomSummary = RowOf<Api['chat']['observers']['onRoom']['event']>;
export type MessageView = Actions['createMessage']['reply'];
export type UserView = MessageView['user'];
