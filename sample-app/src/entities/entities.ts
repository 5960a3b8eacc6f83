import { Message } from './message.js';
import { Room } from './room.js';
import { Session } from './session.js';
import { User } from './user.js';

export const entities = [User, Session, Room, Message];
