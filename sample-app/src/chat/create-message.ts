import { Length, Matches, NotContains } from 'class-validator';

export class CreateMessage {
  @NotContains('\0', { message: 'Null characters are not allowed.' })
  @Matches(/\S/, { message: 'Write something.' })
  @Length(1, 500)
  text!: string;
}
