import { Conflict } from 'signalbox';

export class NotInRoom extends Conflict {
  static override readonly code = 'not_in_room';
  static override readonly detail = 'Join a room first.';
}
