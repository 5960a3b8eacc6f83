import { PermissionDenied } from 'signalbox';

export class NotTheHost extends PermissionDenied {
  static override readonly code = 'not_the_host';
  static override readonly detail = 'Only the host of a room may say who is in it.';
}
