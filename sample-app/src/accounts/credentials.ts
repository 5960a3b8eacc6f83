import { Transform } from 'class-transformer';
import { IsString, Length, Matches, MaxLength, NotContains } from 'class-validator';

/** Two spellings of one letter in Unicode are one user name. */
function normalize({ value }: { value: unknown }): unknown {
  return typeof value === 'string' ? value.normalize('NFKC').trim() : value;
}

export class Credentials {
  @Transform(normalize)
  @NotContains('\0')
  @IsString()
  @MaxLength(150)
  username!: string;

  @IsString()
  @MaxLength(256)
  password!: string;
}

export class NewCredentials {
  @Transform(normalize)
  @Matches(/^[\p{L}\p{N}_.@+-]+$/u, { message: 'Use letters, digits and _ . @ + - only.' })
  @Length(1, 150, { message: 'Use 1 to 150 characters.' })
  username!: string;

  @Length(8, 256, { message: 'Use 8 to 256 characters.' })
  password!: string;
}
