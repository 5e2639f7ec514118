/** The frame of a page: its name, one line on what it is for, and what can be done here. */
import { Box, Group, Stack, Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import type { ReactNode } from 'react'

interface Props {
  title: string
  hint?: string
  actions?: ReactNode
  children: ReactNode
}

export function Page({ title, hint, actions, children }: Props) {
  useDocumentTitle(`${title} · Backend.AI`)
  return (
    <Stack gap="lg" maw="var(--page-width)" mx="auto">
      <Group justify="space-between" align="flex-end" gap="sm">
        <Box>
          <Title order={1} size="h2">{title}</Title>
          {hint && <Text size="sm" c="dimmed" mt={2}>{hint}</Text>}
        </Box>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  )
}
