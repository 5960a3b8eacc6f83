import { Message } from './message.js';
import { Room } from './room.js';
import { Session } from './session.js';
import { User } from './user.js';
import { Visit } from './visit.js';

export const entities = [User, Session, Room, Message, Visit];
