import { IsString, MaxLength, NotContains } from 'class-validator';

export class MemberName {
  @NotContains('\0')
  @MaxLength(150)
  @IsString()
  username!: string;
}
