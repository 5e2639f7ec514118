/** Facts of one thing, name beside value. Values that are null are left out. */
import { Grid, Text } from '@mantine/core'
import { Fragment, type ReactNode } from 'react'

export type Fact = [name: string, value: ReactNode]

export function Facts({ facts }: { facts: Fact[] }) {
  const given = facts.filter(([, value]) => value !== null && value !== undefined && value !== '')
  return (
    <Grid rowGap={{ base: 2, xs: 'xs' }} columnGap="xs" component="dl" m={0}>
      {given.map(([name, value], index) => (
        <Fragment key={name}>
          <Grid.Col span={{ base: 12, xs: 4 }} component="dt" mt={{ base: index ? 8 : 0, xs: 0 }}>
            <Text size="sm" c="dimmed">{name}</Text>
          </Grid.Col>
          <Grid.Col span={{ base: 12, xs: 8 }} component="dd" m={0}>
            {typeof value === 'string' || typeof value === 'number' ? <Text size="sm">{value}</Text> : value}
          </Grid.Col>
        </Fragment>
      ))}
    </Grid>
  )
}
