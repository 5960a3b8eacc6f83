import { EntityManager } from '@mikro-orm/core';
import { type SerializerContext, serializeMany, type ViewOf } from 'signalbox';
import { injectable } from 'tsyringe';
import { Message } from '../entities/message.js';
import type { Room } from '../entities/room.js';
import { MessageSerializer } from './message-serializer.js';

export type MessageView = ViewOf<typeof MessageSerializer>;

/** The newest messages of a room, in the order in which the page shows them: the oldest first. */
@injectable()
export class MessageHistory {
  constructor(private readonly em: EntityManager) {}

  async latest(room: Room, limit: number, context: SerializerContext): Promise<MessageView[]> {
    const newest = { orderBy: { id: 'desc' }, limit, populate: ['user'] } as const;
    const messages = await this.em.find(Message, { room }, newest);
    return serializeMany(MessageSerializer, messages.reverse(), context);
  }
}
