/** In place of a list with nothing in it: what belongs here, and what to do first. */
import { Center, Stack, Text, ThemeIcon } from '@mantine/core'
import type { Icon } from '@tabler/icons-react'
import type { ReactNode } from 'react'

interface Props {
  icon: Icon
  title: string
  hint?: string
  action?: ReactNode
}

export function Empty({ icon: Picture, title, hint, action }: Props) {
  return (
    <Center py={48} px="md" data-empty>
      <Stack align="center" gap="xs" maw={420} ta="center">
        <ThemeIcon size={56} radius="xl" variant="light" aria-hidden>
          <Picture size={28} stroke={1.5} />
        </ThemeIcon>
        <Text fw={600}>{title}</Text>
        {hint && <Text size="sm" c="dimmed">{hint}</Text>}
        {action}
      </Stack>
    </Center>
  )
}
