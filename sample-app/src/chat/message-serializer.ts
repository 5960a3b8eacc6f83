import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { Message } from '../entities/message.js';
import { UserSerializer } from './user-serializer.js';

@injectable()
export class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'room', 'text', 'user', 'createdAt'],
  readOnly: ['id', 'room', 'createdAt'],
  nested: { user: UserSerializer },
  computed: ['createdAtFormatted'],
}) {
  /** `21-11-2025 07:42:00`, in UTC: for clients that show times unchanged. */
  createdAtFormatted({ createdAt }: Message): string {
    const [date = '', time = ''] = createdAt.toISOString().split(/[T.]/);
    return `${date.split('-').reverse().join('-')} ${time}`;
  }
}
