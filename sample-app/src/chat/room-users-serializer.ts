import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { Room } from '../entities/room.js';
import { UserSerializer } from './user-serializer.js';

@injectable()
export class RoomUsersSerializer extends ModelSerializer(Room, {
  fields: ['id', 'members', 'currentUsers'],
  readOnly: ['id'],
  nested: { members: UserSerializer, currentUsers: UserSerializer },
}) {}
