import { ModelSerializer, type SerializerContext } from 'signalbox';
import { injectable } from 'tsyringe';
import { Room } from '../entities/room.js';
import { MessageHistory, type MessageView } from './message-history.js';
import { UserSerializer } from './user-serializer.js';

/** A room as the lobby shows it. */
@injectable()
export class RoomSummarySerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host', 'isPrivate', 'currentUsers'],
  readOnly: ['id'],
  nested: { host: UserSerializer, currentUsers: UserSerializer },
  computed: ['lastMessage'],
}) {
  constructor(private readonly history: MessageHistory) {
    super();
  }

  async lastMessage(room: Room, context: SerializerContext): Promise<MessageView | null> {
    const [message] = await this.history.latest(room, 1, context);
    return message ?? null;
  }
}
