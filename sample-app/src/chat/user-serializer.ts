import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { User } from '../entities/user.js';

@injectable()
export class UserSerializer extends ModelSerializer(User, {
  fields: ['id', 'username'],
  readOnly: ['id', 'username'],
}) {}
