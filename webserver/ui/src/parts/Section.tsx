/** A card with a heading: one matter of a page. */
import { Card, Group, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'

interface Props {
  title: string
  hint?: string
  action?: ReactNode
  children: ReactNode
}

export function Section({ title, hint, action, children }: Props) {
  return (
    <Card component="section" aria-label={title}>
      <Group justify="space-between" mb={hint ? 4 : 'md'}>
        <Title order={2} size="h4">{title}</Title>
        {action}
      </Group>
      {hint && <Text size="sm" c="dimmed" mb="md">{hint}</Text>}
      {children}
    </Card>
  )
}
