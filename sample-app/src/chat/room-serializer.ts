import { ModelSerializer, type SerializerContext } from 'signalbox';
import { injectable } from 'tsyringe';
import { Room } from '../entities/room.js';
import { MessageHistory, type MessageView } from './message-history.js';
import { UserSerializer } from './user-serializer.js';

const SHOWN_MESSAGES = 100;

/** A room as users inside see it, with its last messages. */
@injectable()
export class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host', 'isPrivate', 'members', 'currentUsers'],
  readOnly: ['id'],
  nested: { host: UserSerializer, members: UserSerializer, currentUsers: UserSerializer },
  computed: ['messages', 'lastMessage'],
}) {
  constructor(private readonly history: MessageHistory) {
    super();
  }

  messages(room: Room, context: SerializerContext): Promise<MessageView[]> {
    return this.history.latest(room, SHOWN_MESSAGES, context);
  }

  async lastMessage(room: Room, context: SerializerContext): Promise<MessageView | null> {
    const [message] = await this.history.latest(room, 1, context);
    return message ?? null;
  }
}
